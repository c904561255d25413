package ipvsadm

import "github.com/lvs-ha/lvs-ha/ipvs"

// option is an option in the terms of ipvsadm's messages. Missing and illegal options are reported in this order.
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
	options // the number of options
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

// verb is the command.
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

// rule lists the options that a command or tunnel type requires, allows, and treats as mutually exclusive.
type rule struct {
	name                      string
	needs, permits, exclusive set
}

var rules = map[verb]rule{
	addService:    {name: "add-service", needs: setOf(serviceAddress), permits: serviceOptions},
	editService:   {name: "edit-service", needs: setOf(serviceAddress), permits: serviceOptions},
	deleteService: {name: "delete-service", needs: setOf(serviceAddress)},
	flush:         {name: "flush"},
	restore:       {name: "restore"},
	save:          {name: "save", permits: setOf(numeric)},
	addServer:     {name: "add-server", needs: setOf(serviceAddress, realServer), permits: serverOptions},
	editServer:    {name: "edit-server", needs: setOf(serviceAddress, realServer), permits: serverOptions},
	deleteServer:  {name: "delete-server", needs: setOf(serviceAddress, realServer)},
	list:          {name: "list", permits: listOptions, exclusive: setOf(connection, serviceAddress, timeout, daemon)},
	zero:          {name: "zero", permits: setOf(serviceAddress)},
	setTimeouts:   {name: "set"},
	startDaemon:   {name: "start-daemon", permits: setOf(syncID, mcastInterface, mcastGroup, mcastPort, mcastTTL, syncMaxLen)},
	stopDaemon:    {name: "stop-daemon", permits: setOf(syncID)},
}

var tunnelRules = map[ipvs.TunnelType]rule{
	ipvs.TunnelIPIP: {name: "ipip"},
	ipvs.TunnelGUE:  {name: "gue", needs: setOf(tunPort), permits: checksums, exclusive: checksums},
	ipvs.TunnelGRE:  {name: "gre", permits: setOf(tunNocsum, tunCsum), exclusive: checksums},
}

var (
	serviceOptions = setOf(scheduler, persistent, netmask, onePacket, persistenceEngine, schedFlags)
	checksums      = setOf(tunNocsum, tunCsum, tunRemcsum)
	tunnelOptions  = setOf(tunType, tunPort) | checksums
	serverOptions  = setOf(forwardingMethod, weight, upperThreshold, lowerThreshold) | tunnelOptions
	listOptions    = setOf(numeric, connection, serviceAddress, timeout, daemon, stats, rate, thresholds, persistentConn,
		nosort, syncID, exact, tunInfo)
)

// check reports the first option that is missing, illegal, or excluded by an earlier one; of names the subject of the rule.
func (r rule) check(given set, of string) *failure {
	for o := range options {
		switch {
		case r.needs.has(o) && !given.has(o):
			return fail("You need to supply the '%s' option for the '%s' %s", o, r.name, of)
		case given.has(o) && !(r.needs | r.permits).has(o):
			return fail("Illegal '%s' option with the '%s' %s", o, r.name, of)
		case (given & r.exclusive).has(o):
			for other := range o {
				if (given & r.exclusive).has(other) {
					return fail("The option '%s' conflicts with the '%s' option in the '%s' %s", o, other, r.name, of)
				}
			}
		}
	}
	return nil
}
