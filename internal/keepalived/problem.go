package keepalived

import "fmt"

// Code says what is wrong with a place in a configuration. keepalived reports all of these with -t, except where noted.
type Code string

// The codes.
const (
	UnknownKeyword   Code = "unknown-keyword"   // ignored; the lines of its block belong to the enclosing block
	UnexpectedBrace  Code = "unexpected-brace"  // "{" where no block begins: ignored
	MissingBrace     Code = "missing-brace"     // a block without "{": read as if it were there
	ExtraBrace       Code = "extra-brace"       // "}" without a block: ignored
	MissingEnd       Code = "missing-end"       // blocks without "}" at the end
	ExtraWords       Code = "extra-words"       // words between a keyword and its block
	UnmatchedQuote   Code = "unmatched-quote"   // the rest of the line is lost
	LineTooLong      Code = "line-too-long"     // the line is ignored
	NULByte          Code = "nul-byte"          // the line is ignored
	IncludeFailed    Code = "include-failed"    // the include is ignored
	InvalidSequence  Code = "invalid-sequence"  // a ~SEQ or ~LST line: ignored
	OtherNode        Code = "other-node"        // a line for another node; keepalived does not report it
	RandomValue      Code = "random-value"      // ${_RANDOM}: the lowest value is used; keepalived does not report it
	EnvironmentValue Code = "environment-value" // ${_ENV …}: read from this process; keepalived does not report it
	Template         Code = "template"          // marks of a template or of an undefined variable; only the first is reported
	TooMuch          Code = "too-much"          // more lines than can be read; keepalived has no such limit
)

// Problem is something that keepalived ignores or reports.
type Problem struct {
	Position
	Code    Code
	Subject string // the word or line, not escaped
	Meant   string // the word that was probably meant; "" if none is similar
}

func (p Problem) String() string { return fmt.Sprintf("%s: %s %q", p.Position, p.Code, p.Subject) }
