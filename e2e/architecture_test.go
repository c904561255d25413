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

// workingRooms stand alone: none knows another, the configuration, or what joins them.
var workingRooms = []string{"vrrp", "healthcheck", "ipvs", "sync"}

// TestRoomsKnowWhatTheTableSays compares the table of rooms in docs/architecture.md with the imports of every package:
// each package is in a room, and each room imports exactly the rooms in its column "knows".
func TestRoomsKnowWhatTheTableSays(t *testing.T) {
	table := roomTable(t, "../docs/architecture.md")
	used := map[string]map[string]bool{}
	for pkg, imports := range listed(t, "Imports", module+"...") {
		from := roomOf(table, pkg)
		if from == "" {
			t.Errorf("docs/architecture.md has no room for package %s", pkg)
			continue
		}
		if used[from] == nil {
			used[from] = map[string]bool{}
		}
		for _, imported := range imports {
			to := roomOf(table, imported)
			if to == from {
				continue
			}
			used[from][to] = true
			if !slices.Contains(table[from], to) {
				t.Errorf("%s imports %s, which the row of %s in docs/architecture.md does not name", pkg, imported, from)
			}
		}
	}
	for room, knows := range table {
		if used[room] == nil {
			t.Errorf("docs/architecture.md has a room %s without a package", room)
		}
		for _, other := range knows {
			if !used[room][other] {
				t.Errorf("docs/architecture.md says that %s knows %s, which it does not import", room, other)
			}
		}
	}
}

// TestWorkingRoomsStandAlone follows imports of imports too.
func TestWorkingRoomsStandAlone(t *testing.T) {
	table := roomTable(t, "../docs/architecture.md")
	forbidden := append(slices.Clone(workingRooms), "config", "internal/director", "internal/api", "internal/supervisor", "cmd/lvs-ha")
	for _, room := range workingRooms {
		packages := listed(t, "Deps", module+room+"/...")
		if _, ok := packages[room]; !ok {
			t.Errorf("go list does not know %s", room)
		}
		for pkg, deps := range packages {
			for _, d := range deps {
				if to := topRoom(roomOf(table, d)); to != room && slices.Contains(forbidden, to) {
					t.Errorf("%s depends on %s", pkg, d)
				}
			}
		}
	}
}

// listed asks `go list` for a field of packages. Only this module's packages are in the answer, without its name.
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

// roomTable reads the table of the section "Packages": each folder and the folders that its packages import.
func roomTable(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Packages\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rooms := map[string][]string{}
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
			t.Errorf("%s: the row of %s names rooms and nothing else, but has %q", path, folder[1], rest)
		}
		rooms[folder[1]] = knows
	}
	if len(rooms) < 10 {
		t.Fatalf("%s: %d rooms were found in the table", path, len(rooms))
	}
	return rooms
}

// roomOf is the longest room that holds a package, or "".
func roomOf(table map[string][]string, pkg string) string {
	for dir := pkg; dir != "."; dir = path.Dir(dir) {
		if _, ok := table[dir]; ok {
			return dir
		}
	}
	return ""
}

// topRoom is the working room that a room is below, as vrrp/speaker is, or the room itself.
func topRoom(room string) string {
	if top, _, _ := strings.Cut(room, "/"); slices.Contains(workingRooms, top) {
		return top
	}
	return room
}

// TestNoTestLibraryIsLinked asks `go list` for the packages of the program. Package hclwrite links go-cmp, for one
// comparison, and that one's initialisation made a fifth of the page faults of a start; gohcl links hclwrite.
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
