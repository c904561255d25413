package migrate

import "fmt"

// Lost is a line without equivalent.
type Lost struct {
	Line int    `json:"line"`
	Text string `json:"text"`
	Why  string `json:"why"`
}

// String returns the line and, indented below it, the reason.
func (l Lost) String() string { return fmt.Sprintf("line %d: %s\n    %s", l.Line, l.Text, l.Why) }
