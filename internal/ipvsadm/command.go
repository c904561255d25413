package ipvsadm

import (
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// command is a parsed command line.
type command struct {
	verb     verb
	given    set
	force    bool
	service  ipvs.Service
	server   ipvs.Destination
	timeouts ipvs.Timeouts
	role     connsync.Role
	daemon   connsync.Daemon

	flags    string        // --sched-flags, which depend on the scheduler
	protocol ipvs.Protocol // for the port name of a real server
}

// ipvsadm's defaults.
const (
	defaultScheduler          = "wlc"
	defaultPersistenceTimeout = 360 // seconds
	defaultWeight             = 1
	hostMask                  = 0xffffffff
	hostPrefix                = 128
)

var verbs = map[string]verb{
	"A": addService, "E": editService, "D": deleteService, "C": flush, "R": restore, "S": save,
	"a": addServer, "e": editServer, "d": deleteServer, "L": list, "Z": zero, "set": setTimeouts,
	"start-daemon": startDaemon, "stop-daemon": stopDaemon, "h": help, "v": version,
}

// parse parses a command line.
func (s *session) parse(args []string) (*command, *failure) {
	words := &scanner{args: args}
	first, _, ok := words.next()
	force := ok && first.id == "force"
	if force {
		first, _, ok = words.next()
	}
	v := verbs[first.id]
	if !ok || v == 0 {
		return nil, tryHelp(s.env.Program)
	}
	c := newCommand(v)
	c.force = force
	switch v {
	case help:
		return nil, &failure{text: helpText, ends: true, stdout: true}
	case version:
		return nil, &failure{text: versionText, ends: true, stdout: true}
	case startDaemon, stopDaemon:
		if f := c.parseRole(first.value); f != nil {
			return nil, f
		}
	}
	for {
		o, problem, ok := words.next()
		if problem != "" {
			return nil, refused(words.word + ": " + problem)
		}
		if !ok {
			break
		}
		if f := c.take(o, words.word, s.env.Names); f != nil {
			return nil, f
		}
	}
	return c, c.finish(words.rest)
}

func newCommand(v verb) *command {
	c := &command{verb: v}
	c.service.Family = ipvs.IPv4
	c.service.Scheduler = defaultScheduler
	c.service.Netmask = hostMask
	c.server.Forward = ipvs.DirectRoute
	c.server.Weight = defaultWeight
	return c
}

func (c *command) parseRole(s string) *failure {
	role, err := connsync.ParseRole(s)
	if err != nil {
		if c.verb == startDaemon {
			return fail("illegal start-daemon parameter specified")
		}
		return fail("illegal start_daemon specified")
	}
	c.role = role
	return nil
}

// finish rejects arguments that are not options, and checks the whole command.
func (c *command) finish(rest []string) *failure {
	if c.verb == setTimeouts {
		var f *failure
		if rest, f = c.parseTimeouts(rest); f != nil {
			return f
		}
	}
	if len(rest) > 0 {
		return fail("unexpected argument %s", rest[0])
	}
	if f := c.parseFlags(); f != nil {
		return f
	}
	if f := rules[c.verb].check(c.given, "command"); f != nil {
		return f
	}
	switch c.verb {
	case list:
		return c.checkForms()
	case addService, editService:
		return c.checkService()
	case addServer, editServer:
		return c.checkServer()
	}
	return nil
}

func (c *command) parseTimeouts(rest []string) ([]string, *failure) {
	fields := []*uint32{&c.timeouts.TCP, &c.timeouts.TCPFin, &c.timeouts.UDP}
	if len(rest) < len(fields) {
		return nil, fail("--set option requires 3 timeout values")
	}
	for i, field := range fields {
		n, ok := parseNumber(rest[i], 0, maxTimeout)
		if !ok {
			return nil, fail("invalid timeout value `%s' specified", rest[i])
		}
		*field = uint32(n)
	}
	return rest[len(fields):], nil
}

func (c *command) checkService() *failure {
	s := &c.service
	if s.Mark == 0 && s.Port == 0 && s.Flags&ipvs.FlagPersistent == 0 {
		return fail("Zero port specified for non-persistent service")
	}
	if s.Flags&ipvs.FlagOnePacket != 0 && s.Mark == 0 && s.Protocol != ipvs.UDP {
		return fail("One-Packet Scheduling is only for UDP virtual services")
	}
	return nil
}

// checkForms rejects the formatting options of the table if another listing is requested.
func (c *command) checkForms() *failure {
	tables := setOf(stats, rate, thresholds)
	if c.given&setOf(timeout, daemon) != 0 {
		tables |= setOf(persistentConn)
	}
	if c.given&setOf(connection, timeout, daemon) != 0 && c.given&tables != 0 {
		return fail("options conflicts in the list command")
	}
	return nil
}
