package config

import (
	"fmt"
	"slices"
	"strings"
)

// suggest returns the known word that was most likely meant, or "".
func suggest(given string, known []string) string {
	best, bestDistance := "", 2+min(1, len(given)/5) // a short word is similar to too many
	if len(given) > 9 {
		bestDistance = 1 + len(given)/3
	}
	for _, word := range known {
		if d := editDistance(strings.ToLower(given), strings.ToLower(word), bestDistance); d < bestDistance {
			best, bestDistance = word, d
		}
	}
	return best
}

// didYouMean returns a sentence to append to a message, or "".
func didYouMean(given string, known []string) string {
	if word := suggest(given, known); word != "" {
		return fmt.Sprintf(" Did you mean %q?", word)
	}
	return ""
}

// editDistance returns the least number of bytes to insert, delete, replace or swap with a neighbour that turns a into
// b; it stops at limit.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		if slices.Min(row) >= limit {
			return limit
		}
		before, last = last, row
	}
	return last[len(b)]
}

// enumerate formats words as `"a", "b" or "c"`.
func enumerate(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = fmt.Sprintf("%q", word)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}
