package keepalived

import (
	"maps"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/spelling"
)

// meant returns the word of a block that an unknown one was probably meant to be, or "".
func (b *block) meant(unknown string) string {
	best, least := "", mistakes(unknown)+1
	for _, word := range slices.Sorted(maps.Keys(b.words)) {
		n := spelling.Distance(strings.ToLower(unknown), strings.ToLower(word), least)
		if b == globalDefs && word == "vrrp_"+unknown { // the default of an instance's word
			n = 0
		}
		if n < least {
			best, least = word, n
		}
	}
	return best
}

// mistakes is how many letters of a word may be wrong. Short words resemble each other too much.
func mistakes(word string) int {
	switch n := len(word); {
	case n < 6:
		return 0
	case n < 10:
		return 1
	}
	return 2
}
