package ipvsadm

// option is what a command-line option is about, as ipvsadm's messages name it. The order is that in which missing and
// illegal ones are reported.
type option uint

const (
	numeric option = iota
	connection
	serviceAddress
	scheduler
	persistent
	netmask
	realServer
	forwardingMethod
	weight
	upperThreshold
	lowerThreshold
	mcastInterface
	timeout
	daemon
	stats
	rate
	thresholds
	persistentConn
	nosort
	syncID
	exact
	onePacket
	persistenceEngine
	schedFlags
	mcastGroup
	mcastPort
	mcastTTL
	syncMaxLen
	tunInfo
	tunType
	tunPort
	tunNocsum
	tunCsum
	tunRemcsum
	options // how many there are
)

var optionNames = [options]string{
	"numeric", "connection", "service-address", "scheduler", "persistent", "netmask", "real-server", "forwarding-method",
	"weight", "u-threshold", "l-threshold", "mcast-interface", "timeout", "daemon", "stats", "rate", "thresholds",
	"persistent-conn", "nosort", "syncid", "exact", "ops", "pe", "sched-flags", "mcast-group", "mcast-port", "mcast-ttl",
	"sync-maxlen", "tun-info", "tun-type", "tun-port", "tun-nocsum", "tun-csum", "tun-remcsum",
}

func (o option) String() string { return optionNames[o] }

// set is a set of options.
type set uint64

func setOf(list ...option) set {
	var s set
	for _, o := range list {
		s |= 1 << o
	}
	return s
}

func (s set) has(o option) bool { return s&(1<<o) != 0 }

// verb is what to do.
type verb int

const (
	addService verb = iota + 1
	editService
	deleteService
	flush
	restore
	save
	addServer
	editServer
	deleteServer
	list
	zero
	setTimeouts
	startDaemon
	stopDaemon
	help
	version
)

// rule says which options a command needs and may have.
type rule struct {
	name           string
	needs, permits set
}

var rules = map[verb]rule{
	addService:    {"add-service", setOf(serviceAddress), serviceOptions},
	editService:   {"edit-service", setOf(serviceAddress), serviceOptions},
	deleteService: {"delete-service", setOf(serviceAddress), 0},
	flush:         {"flush", 0, 0},
	restore:       {"restore", 0, 0},
	save:          {"save", 0, setOf(numeric)},
	addServer:     {"add-server", setOf(serviceAddress, realServer), serverOptions},
	editServer:    {"edit-server", setOf(serviceAddress, realServer), serverOptions},
	deleteServer:  {"delete-server", setOf(serviceAddress, realServer), 0},
	list:          {"list", 0, listOptions},
	zero:          {"zero", 0, setOf(serviceAddress)},
	setTimeouts:   {"set", 0, 0},
	startDaemon:   {"start-daemon", 0, setOf(syncID, mcastInterface, mcastGroup, mcastPort, mcastTTL, syncMaxLen)},
	stopDaemon:    {"stop-daemon", 0, setOf(syncID)},
}

var (
	serviceOptions = setOf(scheduler, persistent, netmask, onePacket, persistenceEngine, schedFlags)
	tunnelOptions  = setOf(tunType, tunPort, tunNocsum, tunCsum, tunRemcsum)
	serverOptions  = setOf(forwardingMethod, weight, upperThreshold, lowerThreshold) | tunnelOptions
	listOptions    = setOf(numeric, connection, serviceAddress, timeout, daemon, stats, rate, thresholds, persistentConn,
		nosort, syncID, exact, tunInfo)
)

// exclude are the options before each one that it excludes. Only the list command permits any two of them.
var exclude = map[option]set{
	serviceAddress: setOf(connection),
	timeout:        setOf(connection, serviceAddress),
	daemon:         setOf(connection, serviceAddress, timeout),
}

// check reports the first option that is missing, illegal, or excluded by one before it.
func (r rule) check(given set) *failure {
	for o := range options {
		switch {
		case r.needs.has(o) && !given.has(o):
			return fail("You need to supply the '%s' option for the '%s' command", o, r.name)
		case given.has(o) && !(r.needs | r.permits).has(o):
			return fail("Illegal '%s' option with the '%s' command", o, r.name)
		case given.has(o):
			for other := range o {
				if (given & exclude[o]).has(other) {
					return fail("The option '%s' conflicts with the '%s' option in the '%s' command", o, other, r.name)
				}
			}
		}
	}
	return nil
}
