package ipvsadm

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// connectionsFile is the connection table of the thread's network namespace.
const connectionsFile = "/proc/thread-self/net/ip_vs_conn"

// Environment is the environment of the command. Unset fields default to the system's.
type Environment struct {
	Program        string // its name in hints; unset: ipvsadm
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Open           func(ctx context.Context) (Kernel, error) // the kernel; called on first use
	Connections    func() (io.ReadCloser, error)             // opens the connection table
	Names          Names
	// Owner reports whether a running lvs-ha owns a service, and returns the service's name there. An owned service is not
	// changed without --force.
	Owner func(ipvs.ServiceKey) (string, bool)
	// SyncOwner is the same for the connection-sync daemons.
	SyncOwner func() (string, bool)
}

// Main runs ipvsadm with the arguments after the program's name and returns its exit status.
func Main(ctx context.Context, args []string, env Environment) int {
	s := newSession(ctx, env)
	if len(args) == 0 {
		args = []string{"-L"}
	}
	c, f := s.parse(args)
	if f == nil {
		f = s.run(c)
	}
	return s.end(s.report(f))
}

func newSession(ctx context.Context, env Environment) *session {
	env.Program = cmp.Or(env.Program, "ipvsadm")
	if env.Stdin == nil {
		env.Stdin = os.Stdin
	}
	if env.Stdout == nil {
		env.Stdout = os.Stdout
	}
	if env.Stderr == nil {
		env.Stderr = os.Stderr
	}
	if env.Open == nil {
		env.Open = OpenKernel
	}
	if env.Connections == nil {
		env.Connections = func() (io.ReadCloser, error) { return os.Open(connectionsFile) }
	}
	if env.Names == nil {
		env.Names = SystemNames(ctx)
	}
	return &session{ctx: ctx, env: env, out: bufio.NewWriterSize(env.Stdout, 64<<10)}
}

// session is one run of the program.
type session struct {
	ctx    context.Context
	env    Environment
	out    *bufio.Writer
	kernel *Kernel
	info   ipvs.Info
	buffer []byte      // of a line
	queue  []ipvs.Step // pending changes of a rule file
}

// open connects to the kernel on its first call.
func (s *session) open() *failure {
	if s.kernel != nil {
		return nil
	}
	k, err := s.env.Open(s.ctx)
	if err == nil {
		s.info, err = k.Settings.Info(s.ctx)
		s.kernel = &k
	}
	if err != nil {
		return fail("Can't initialize ipvs: %s\nAre you sure that IP Virtual Server is built in the kernel or as module?",
			commonTexts.explain(err))
	}
	return nil
}

// report prints a failure and returns the exit status.
func (s *session) report(f *failure) int {
	if f == nil {
		return statusOK
	}
	switch {
	case f.text == "":
	case f.stdout:
		fmt.Fprintln(s.out, f.text)
	default:
		fmt.Fprintln(s.env.Stderr, f.text)
	}
	return f.status
}

// end closes what is open and returns the exit status.
func (s *session) end(status int) int {
	if s.kernel != nil {
		_ = s.kernel.Close() // everything has been done
	}
	if err := s.out.Flush(); err != nil && status == statusOK {
		fmt.Fprintf(s.env.Stderr, "writing the output: %v\n", err)
		return statusRefused
	}
	return status
}

// run carries out a command.
func (s *session) run(c *command) *failure {
	if f := s.open(); f != nil {
		return f
	}
	if f := s.permit(c); f != nil {
		return f
	}
	switch c.verb {
	case flush:
		return s.simply(nil, s.kernel.Table.Flush(s.ctx))
	case restore:
		return s.restore(c.force)
	case save:
		return s.save(c)
	case list:
		return s.list(c)
	case zero:
		if c.given.has(serviceAddress) {
			return s.simply(noService, s.kernel.Table.Zero(s.ctx, c.service.ServiceKey))
		}
		return s.simply(nil, s.kernel.Table.ZeroAll(s.ctx))
	case setTimeouts:
		return s.simply(nil, s.kernel.Settings.SetTimeouts(s.ctx, c.timeouts))
	case startDaemon:
		return s.simply(startTexts, s.kernel.Daemons.Start(s.ctx, c.role, c.daemon))
	case stopDaemon:
		return s.simply(stopTexts, s.kernel.Daemons.Stop(s.ctx, c.role))
	}
	return s.change(c.step())
}

func (s *session) simply(t texts, err error) *failure {
	if err == nil {
		return nil
	}
	return refused(t.explain(err))
}

// actions maps the commands that change one service or server.
var actions = map[verb]ipvs.Action{
	addService: ipvs.AddService, editService: ipvs.EditService, deleteService: ipvs.DeleteService,
	addServer: ipvs.AddDestination, editServer: ipvs.EditDestination, deleteServer: ipvs.DeleteDestination,
}

func (c *command) step() ipvs.Step {
	return ipvs.Step{Action: actions[c.verb], Service: c.service, Destination: c.server}
}

// change carries out one step.
func (s *session) change(step ipvs.Step) *failure {
	return s.simply(stepTexts[step.Action], s.kernel.Table.Execute(s.ctx, []ipvs.Step{step})[0])
}
