package healthcheck

import (
	"regexp/syntax"
	"strings"
)

// Limits of the regular expression for a body. They bound the time of one step of a match, which cannot be interrupted,
// and the memory of a match in progress.
const (
	maxExpression = 1 << 10 // bytes
	maxProgram    = 2 << 10 // instructions of the compiled program; "x{0,1000}" has 2,003
)

// bodyFaults does not compile the expression, so its running time depends only on the expression's length.
func bodyFaults(expression string) []Fault {
	if len(expression) > maxExpression {
		return []Fault{fault("body", "The regular expression has %d bytes. Write one of at most %d.", len(expression), maxExpression)}
	}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return []Fault{fault("body", "The regular expression is not valid (RE2): %s.", strings.TrimPrefix(err.Error(), "error parsing regexp: "))}
	}
	if n := programSize(parsed); n > maxProgram {
		return []Fault{fault("body", "The regular expression is too large: %d steps, at most %d. Write smaller counts in {}.", n, maxProgram)}
	}
	return nil
}

// programSize returns the number of instructions of a compiled expression.
func programSize(re *syntax.Regexp) int {
	size := 0
	for _, sub := range re.Sub {
		size += programSize(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return max(1, len(re.Rune))
	case syntax.OpRepeat:
		// At least Min copies and a loop, or Max copies, of which those after Min are optional.
		if re.Max < 0 {
			return max(1, re.Min)*size + 1
		}
		return re.Max*size + re.Max - re.Min + 1
	case syntax.OpConcat:
		return max(1, size)
	case syntax.OpAlternate:
		return size + len(re.Sub)
	}
	if len(re.Sub) == 0 {
		return 1
	}
	return size + 2
}
