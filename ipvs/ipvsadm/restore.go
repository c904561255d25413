package ipvsadm

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// restoreBatch is how many changes of a rule file are carried out at once.
const restoreBatch = 1024

// restore carries out the lines of a rule file. What the kernel refuses is reported and the next line read; a wrong
// option ends it. The exit status is that of the last line.
func (s *session) restore(force bool) *failure {
	r := bufio.NewReader(s.env.Stdin)
	status := statusOK
	for {
		line, err := r.ReadString('\n')
		if args := fields(line); len(args) > 0 {
			var ends bool
			if status, ends = s.rule(args, force); ends {
				return &failure{status: status}
			}
		}
		// A writer that pauses sees its lines carried out.
		if len(s.queue) >= restoreBatch || r.Buffered() == 0 || err != nil {
			status = s.flush(status)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return refused("reading the rules: " + err.Error())
			}
			return &failure{status: status}
		}
	}
}

// rule carries out one line. A change is put into the queue, everything else is done at once.
func (s *session) rule(args []string, force bool) (status int, ends bool) {
	c, f := parse(args, s.env.Names, true)
	if f == nil {
		c.force = c.force || force
		f = s.permit(c)
	}
	if f == nil && actions[c.verb] != "" {
		s.queue = append(s.queue, c.step())
		return statusOK, false
	}
	s.flush(statusOK)
	if f == nil {
		f = s.run(c)
	}
	return s.report(f), f != nil && f.ends
}

// flush carries out the queue and returns the exit status of its last change, or the given one if it is empty.
func (s *session) flush(status int) int {
	if len(s.queue) == 0 {
		return status
	}
	for i, err := range s.kernel.Table.Execute(s.ctx, s.queue) {
		status = s.report(s.simply(stepTexts[s.queue[i].Action], err))
	}
	s.queue = s.queue[:0]
	return status
}

// fields splits a line at white space. A word ends at a NUL, and the program's name is passed over wherever it stands.
func fields(line string) []string {
	var args []string
	for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }) {
		word, _, _ = strings.Cut(word, "\x00")
		if word != "ipvsadm" {
			args = append(args, word)
		}
	}
	return args
}
