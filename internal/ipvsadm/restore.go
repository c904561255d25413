package ipvsadm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
)

// restoreBatch is the number of changes of a rule file that are sent together; restoreBuffer has room for as many.
const (
	restoreBatch  = 1024
	restoreBuffer = 64 << 10
)

// Rule runs one line of a rule file and returns its exit status.
func Rule(ctx context.Context, line string, env Environment) int {
	args := fields(line)
	if len(args) == 0 {
		return statusOK
	}
	s := newSession(ctx, env)
	if f := s.open(); f != nil {
		return s.end(s.report(f))
	}
	status, _ := s.rule(args, false)
	return s.end(s.flush(status))
}

// restore runs the lines of a rule file. A change refused by the kernel is reported and does not stop it; an invalid option
// does. The exit status is that of the last line.
func (s *session) restore(force bool) *failure {
	r := bufio.NewReaderSize(s.env.Stdin, restoreBuffer)
	status := statusOK
	for {
		line, err := r.ReadString('\n')
		if args := fields(line); len(args) > 0 {
			var ends bool
			if status, ends = s.rule(args, force); ends {
				return &failure{status: status}
			}
		}
		// If the writer pauses, apply its complete lines, even in the middle of the next one.
		ahead, _ := r.Peek(r.Buffered())
		if len(s.queue) >= restoreBatch || bytes.IndexByte(ahead, '\n') < 0 {
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

// rule runs one line. Changes are queued, everything else is done immediately.
func (s *session) rule(args []string, force bool) (status int, ends bool) {
	c, f := s.parse(args)
	if f == nil && c.verb == restore {
		f = tryHelp(s.env.Program) // -R in its own input
	}
	if f == nil {
		c.force = c.force || force
		if actions[c.verb] != "" {
			if f = s.permit(c); f == nil {
				s.queue = append(s.queue, c.step())
				return statusOK, false
			}
		}
	}
	s.flush(statusOK)
	if f == nil {
		f = s.run(c)
	}
	return s.report(f), f != nil && f.ends
}

// flush applies the queue and returns the exit status of its last change, or status if the queue is empty.
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

// fields splits a line at white space. A word ends at a NUL, and the program's name is skipped in any position.
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
