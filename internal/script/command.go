package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// DefaultUser is the user of a command without User. It exists on all distributions.
const DefaultUser = "nobody"

// Path is the PATH of commands. Programs without a slash are also looked up in it.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// MaxOutput is the number of bytes kept of a command's output: a quarter at its beginning, the rest at its end.
const MaxOutput = 4 << 10

// killDelay is the time between SIGTERM and SIGKILL.
const killDelay = time.Second

// Command is a command and the user that runs it.
type Command struct {
	// Args are the program and its arguments. The program is an absolute path, or a name without a slash.
	Args []string
	// Shell runs Args[0] with /bin/sh -c; the other elements are $1, $2 and so on.
	Shell bool
	// User and Group are names or numeric IDs. The defaults are DefaultUser and the user's primary group.
	User, Group string
	// Timeout is the time after which all processes of the command get SIGTERM, and a second later SIGKILL.
	Timeout time.Duration
	// Env is the environment in addition to PATH, in the form NAME=value.
	Env []string
}

// String returns the command in shell syntax.
func (c Command) String() string {
	args := c.Args
	if c.Shell {
		args = slices.Concat([]string{shell, "-c"}, c.Args[:min(1, len(c.Args))], []string{"sh"}, c.Args[min(1, len(c.Args)):])
	}
	quoted := make([]string, len(args))
	for i, a := range args {
		if a == "" || strings.ContainsFunc(a, special) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}

func special(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_", r))
}

// valid reports errors in the command that do not depend on the host.
func (c Command) valid() error {
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return errors.New("the command is empty")
	case c.Timeout <= 0:
		return errors.New("the command has no timeout")
	case !c.Shell && c.Args[0][0] != '/' && strings.Contains(c.Args[0], "/"):
		return fmt.Errorf("%q is a relative path: use an absolute path, or the name of a program in %s", c.Args[0], Path)
	case slices.ContainsFunc(slices.Concat(c.Args, c.Env), func(s string) bool { return strings.ContainsRune(s, 0) }):
		return errors.New("the command contains a NUL byte")
	}
	return nil
}

// Result is how a command ended.
type Result struct {
	// NotRun is why the command was not started, or nil if it was. If it is set, the other fields are zero.
	NotRun error
	// ExitCode is the exit status, or -1 if the command was ended by a signal.
	ExitCode int
	// Signal is the signal that ended the command, or 0 if it exited.
	Signal syscall.Signal
	// TimedOut reports that the command was still running at its deadline, Timeout after its start.
	TimedOut bool
	Timeout  time.Duration
	// Leftover reports that the command left processes in its process group, which were killed.
	Leftover bool
	// Output is the beginning and the end of the output to stdout and stderr: at most MaxOutput arbitrary bytes.
	Output []byte
	// Truncated reports that the command wrote more than Output: it lacks a part in the middle.
	Truncated bool
	Duration  time.Duration
}

// OK reports whether the command was run and exited with status 0 in time.
func (r Result) OK() bool { return r.NotRun == nil && !r.TimedOut && r.ExitCode == 0 }

// Reason describes briefly how the command ended.
func (r Result) Reason() string {
	switch {
	case r.NotRun != nil:
		return r.NotRun.Error()
	case r.TimedOut:
		return TimedOut(r.Timeout)
	case r.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%v)", int(r.Signal), r.Signal)
	default:
		return fmt.Sprintf("exit status %d", r.ExitCode)
	}
}

// TimedOut is the Reason of a command that was still running after its timeout.
func TimedOut(timeout time.Duration) string { return fmt.Sprintf("timed out after %v", timeout) }

// maxQuoted is the number of characters of a command's output in a message.
const maxQuoted = 120

// Quote returns the first and the last line of a command's output that are not empty, in printable characters.
func (r Result) Quote() string {
	first, last := "", ""
	for line := range strings.Lines(strings.ToValidUTF8(string(r.Output), "?")) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return ' '
		}, line))
		switch {
		case line == "":
		case first == "":
			first = line
		default:
			last = line
		}
	}
	if last == "" {
		return cut(first, maxQuoted)
	}
	return cut(first, maxQuoted/2) + " … " + cut(last, maxQuoted/2)
}

// cut shortens a text.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// Fault returns what is wrong with a command on every host, in sentences for a user, or "".
func Fault(args []string, isShell bool) string {
	const example = `["/usr/bin/pidof", "haproxy"]`
	switch {
	case len(args) == 0 || args[0] == "":
		return "The command is empty. Write the program and its arguments, such as " + example + "."
	case strings.ContainsRune(strings.Join(args, ""), 0):
		return "A command cannot contain a NUL character."
	case isShell:
	case strings.ContainsAny(args[0], " \t|;&<>$"):
		return fmt.Sprintf("%.200q is not the path of a program. Write each argument as an element of the list, as in %s, or set shell = true.", args[0], example)
	case strings.Contains(args[0], "/") && args[0][0] != '/':
		return fmt.Sprintf("%.200q is a relative path. Write an absolute path, or the name of a program in PATH.", args[0])
	}
	return ""
}
