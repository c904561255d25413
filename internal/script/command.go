package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DefaultUser is who runs a command without a user. It exists on all distributions.
const DefaultUser = "nobody"

// Path is the PATH of commands, in which a program without a slash is looked up too.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// MaxOutput is how much of a command's output is kept: its last bytes.
const MaxOutput = 4 << 10

// killDelay is how long a command may go on after SIGTERM.
const killDelay = time.Second

// Command is what to run, and as whom.
type Command struct {
	// Args are a program and its arguments. The program is an absolute path, or a name without a slash.
	Args []string
	// Shell runs Args[0] by /bin/sh -c; the rest are $1, $2 and so on.
	Shell bool
	// User and Group are names or numbers. Without a user it is DefaultUser, without a group the user's primary one.
	User, Group string
	// Timeout is when all processes of the command get SIGTERM, and SIGKILL a second later.
	Timeout time.Duration
	// Env is the environment in addition to PATH, as NAME=value.
	Env []string
}

// String is the command as one would type it.
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

// valid reports what is wrong with the command on any host.
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
	// NotRun is why the command was not started; nil if it was. The other fields are zero then.
	NotRun error
	// ExitCode is its exit status; -1 if it did not exit by itself.
	ExitCode int
	// Signal is the signal that ended it; 0 if it exited by itself.
	Signal syscall.Signal
	// TimedOut says that it was still running at its deadline.
	TimedOut bool
	// Leftover says that it had left processes in its process group, which were killed.
	Leftover bool
	// Output is the end of what it wrote to stdout and stderr: at most MaxOutput bytes, of any kind.
	Output []byte
	// Truncated says that it wrote more than that.
	Truncated bool
	Duration  time.Duration
}

// OK reports whether the command was run and exited with status 0 in time.
func (r Result) OK() bool { return r.NotRun == nil && !r.TimedOut && r.ExitCode == 0 }

// Reason says in a few words how the command ended.
func (r Result) Reason() string {
	switch {
	case r.NotRun != nil:
		return r.NotRun.Error()
	case r.TimedOut:
		return "timed out"
	case r.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%v)", int(r.Signal), r.Signal)
	default:
		return fmt.Sprintf("exit status %d", r.ExitCode)
	}
}
