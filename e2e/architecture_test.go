package e2e

import (
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lvs-ha/lvs-ha/"

// workingAreas are independent: of each other, of the configuration, and of the packages that connect them.
var workingAreas = []string{"vrrp", "healthcheck", "ipvs", "sync"}

// TestPackageTableMatchesImports compares the package table in docs/architecture.md with the imports of every package:
// each package is in an area, and each area imports exactly the areas in its third column.
func TestPackageTableMatchesImports(t *testing.T) {
	table := areaTable(t, "../docs/architecture.md")
	used := map[string]map[string]bool{}
	for pkg, imports := range listed(t, "Imports", module+"...") {
		from := areaOf(table, pkg)
		if from == "" {
			t.Errorf("docs/architecture.md has no area for package %s", pkg)
			continue
		}
		if used[from] == nil {
			used[from] = map[string]bool{}
		}
		for _, imported := range imports {
			to := areaOf(table, imported)
			if to == from {
				continue
			}
			used[from][to] = true
			if !slices.Contains(table[from], to) {
				t.Errorf("%s imports %s, which the row of %s in docs/architecture.md does not name", pkg, imported, from)
			}
		}
	}
	for area, knows := range table {
		if used[area] == nil {
			t.Errorf("docs/architecture.md has an area %s without a package", area)
		}
		for _, other := range knows {
			if !used[area][other] {
				t.Errorf("docs/architecture.md says that %s imports %s, but it does not", area, other)
			}
		}
	}
}

// TestWorkingAreasAreIndependent also follows indirect imports.
func TestWorkingAreasAreIndependent(t *testing.T) {
	table := areaTable(t, "../docs/architecture.md")
	forbidden := append(slices.Clone(workingAreas), "config", "internal/director", "internal/api", "internal/supervisor", "cmd/lvs-ha")
	for _, area := range workingAreas {
		packages := listed(t, "Deps", module+area+"/...")
		if _, ok := packages[area]; !ok {
			t.Errorf("go list does not know %s", area)
		}
		for pkg, deps := range packages {
			for _, d := range deps {
				if to := topArea(areaOf(table, d)); to != area && slices.Contains(forbidden, to) {
					t.Errorf("%s depends on %s", pkg, d)
				}
			}
		}
	}
}

// listed queries `go list` for a field of packages. The result contains only this module's packages, without the module
// path.
func listed(t *testing.T, field, pattern string) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .`+field+` " "}}`, pattern).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pattern, err)
	}
	packages := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		packages[pkg] = nil
		for _, word := range words[1:] {
			if ours, ok := strings.CutPrefix(word, module); ok {
				packages[pkg] = append(packages[pkg], ours)
			}
		}
	}
	return packages
}

var quoted = regexp.MustCompile("`([^`]+)`")

// areaTable reads the table of the section "Packages": each folder and the folders that its packages import.
func areaTable(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Packages\n")
	section, _, _ = strings.Cut(section, "\n## ")
	areas := map[string][]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		folder := quoted.FindStringSubmatch(cells[0])
		if len(cells) != 3 || folder == nil {
			continue
		}
		knows := []string{}
		for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
			knows = append(knows, m[1])
		}
		if rest := strings.Trim(quoted.ReplaceAllString(cells[2], ""), ", "); rest != "" && (rest != "nothing" || len(knows) > 0) {
			t.Errorf("%s: the row of %s names areas and nothing else, but has %q", path, folder[1], rest)
		}
		areas[folder[1]] = knows
	}
	if len(areas) < 10 {
		t.Fatalf("%s: %d areas were found in the table", path, len(areas))
	}
	return areas
}

// areaOf returns the innermost area that contains a package, or "".
func areaOf(table map[string][]string, pkg string) string {
	for dir := pkg; dir != "."; dir = path.Dir(dir) {
		if _, ok := table[dir]; ok {
			return dir
		}
	}
	return ""
}

// topArea returns the working area that contains an area, such as vrrp for vrrp/speaker, or the area itself.
func topArea(area string) string {
	if top, _, _ := strings.Cut(area, "/"); slices.Contains(workingAreas, top) {
		return top
	}
	return area
}

// TestNoTestLibraryIsLinked checks the packages of the program with `go list`. Package hclwrite imports go-cmp for one
// comparison, whose initialization caused a fifth of the page faults of a start; gohcl imports hclwrite.
func TestNoTestLibraryIsLinked(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"cmd/lvs-ha").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := strings.Fields(string(out))
	if !slices.Contains(packages, module+"config") {
		t.Fatal("go list does not know the program's packages")
	}
	for _, unwanted := range []string{"testing", "github.com/google/go-cmp/cmp", "github.com/hashicorp/hcl/v2/hclwrite"} {
		if slices.Contains(packages, unwanted) {
			t.Errorf("the program links %s", unwanted)
		}
	}
}
