//go:build !race

package vrrp

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// needProof skips what takes minutes of a core: docs/testing.md, kind proof.
func needProof(t *testing.T) {
	if !slices.Contains(strings.Split(os.Getenv("LVS_HA_TEST"), ","), "proof") {
		t.Skip(`LVS_HA_TEST does not list "proof"`)
	}
}

func TestProofSimulation(t *testing.T) {
	needProof(t)
	simulate(t, 100_000)
}

// TestProofExploration visits what make explore asks for.
func TestProofExploration(t *testing.T) {
	needProof(t)
	events, faults := int(number(t, "LVS_HA_EVENTS", 1)), int(number(t, "LVS_HA_FAULTS", 2))
	explore(t, events, faults, events, max(faults-1, 0))
}
