package api

import (
	"slices"
	"testing"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestCausesOfConflicts has another master, which answers for the address too, and a third host.
func TestCausesOfConflicts(t *testing.T) {
	address := func(mac string) Conflict { return Conflict{Kind: vrrp.ConflictAddress, Hardware: mac} }
	hidden := Conflict{Kind: vrrp.ConflictHidden, Hardware: "02:00:00:00:00:02"}
	refused := Conflict{Kind: vrrp.ConflictRefused, Reason: "version-mismatch"}
	master, id := Conflict{Kind: vrrp.ConflictMaster}, Conflict{Kind: vrrp.ConflictRouterID}
	second, third := address("02:00:00:00:00:02"), address("02:00:00:00:00:03")
	for _, tt := range []struct{ found, causes []Conflict }{
		{nil, nil},
		{[]Conflict{second, id}, []Conflict{second, id}},
		{[]Conflict{second, third, hidden}, []Conflict{hidden, third}},
		{[]Conflict{second, refused}, []Conflict{refused}},
		{[]Conflict{second, id, master}, []Conflict{master, id}},
	} {
		if got := Causes(tt.found); !slices.Equal(got, tt.causes) {
			t.Errorf("of %+v: %+v, want %+v", tt.found, got, tt.causes)
		}
	}
}
