package ipvsadm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
)

// restoreBatch is how many changes of a rule file are carried out at once, and restoreBuffer has room for as many.
const (
	restoreBatch  = 1024
	restoreBuffer = 64 << 10
)

// Rule carries out one line of a rule file and returns its exit status.
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

// restore carries out the lines of a rule file. What the kernel refuses is reported and the next line read; a wrong
// option ends it. The exit status is that of the last line.
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
		// A writer that pauses sees its lines carried out, even in the middle of the next one.
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

// rule carries out one line. A change is put into the queue, everything else is done at once.
func (s *session) rule(args []string, force bool) (status int, ends bool) {
	c, f := s.parse(args)
	if f == nil && c.verb == restore {
		f = tryHelp(s.env.Program) // it would read what it stands in
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
