//go:build !race

package vrrp

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// needProof skips tests that take minutes of CPU time: docs/testing.md, kind proof.
func needProof(t *testing.T) {
	if !slices.Contains(strings.Split(os.Getenv("LVS_HA_TEST"), ","), "proof") {
		t.Skip(`LVS_HA_TEST does not list "proof"`)
	}
}

func TestProofSimulation(t *testing.T) {
	needProof(t)
	simulate(t, 100_000)
}

// TestProofExploration uses the bound requested by make explore, or two default bounds.
func TestProofExploration(t *testing.T) {
	needProof(t)
	bounds := [][2]int{{1, 2}, {2, 1}}
	if events := number(t, "LVS_HA_EVENTS", 0); events > 0 {
		bounds = [][2]int{{int(events), int(number(t, "LVS_HA_FAULTS", 0))}}
	}
	for _, b := range bounds {
		explore(t, b[0], b[1], b[0], max(b[1]-1, 0))
	}
}
