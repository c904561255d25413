package keepalived

import (
	"maps"
	"slices"
	"strings"
)

// meant returns the word of a block that an unknown one was probably meant to be, or "".
func (b *block) meant(unknown string) string {
	best, least := "", mistakes(unknown)+1
	for _, word := range slices.Sorted(maps.Keys(b.words)) {
		n := edits(strings.ToLower(unknown), strings.ToLower(word), least)
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

// edits counts the letters to insert, delete, replace or swap with the next one to make b of a; anything from most on is most.
func edits(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(b)], most)
}
