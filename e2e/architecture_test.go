package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lvs-ha/lvs-ha/"

// joining are packages below a room that join it with another: ipvsadm's command line has the sync daemons too.
var joining = []string{"ipvs/ipvsadm"}

// TestRoomsDoNotKnowEachOther asks `go list` for all that the four working packages, and what is below them, are made
// of: each stands alone, and none knows the configuration or what joins them.
func TestRoomsDoNotKnowEachOther(t *testing.T) {
	rooms := []string{"vrrp", "healthcheck", "ipvs", "sync"}
	args := []string{"list", "-f", `{{.ImportPath}} {{join .Deps " "}}`}
	for _, room := range rooms {
		args = append(args, module+room+"/...")
	}
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		room, _, _ := strings.Cut(pkg, "/")
		seen[pkg] = true
		if slices.Contains(joining, pkg) {
			continue
		}
		for _, d := range words[1:] {
			d, ours := strings.CutPrefix(d, module)
			for _, other := range append(rooms, "config", "internal/director", "internal/api", "internal/supervisor", "cmd") {
				if ours && other != room && (d == other || strings.HasPrefix(d, other+"/")) {
					t.Errorf("%s depends on %s", pkg, d)
				}
			}
		}
	}
	for _, room := range rooms {
		if !seen[room] {
			t.Errorf("go list does not know %s", room)
		}
	}
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
