package config

import (
	"fmt"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/spelling"
)

// suggest returns the known word that was most likely meant, or "".
func suggest(given string, known []string) string {
	best, bestDistance := "", 2+min(1, len(given)/5) // a short word is similar to too many
	if len(given) > 9 {
		bestDistance = 1 + len(given)/3
	}
	for _, word := range known {
		if d := spelling.Distance(strings.ToLower(given), strings.ToLower(word), bestDistance); d < bestDistance {
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
