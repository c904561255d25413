package vrrp

// Reason names why a transition happened.
type Reason string

// Why an instance is in Initialize, or leaves for it.
const (
	ReasonStart            Reason = "start"             // nothing has happened yet
	ReasonInterfaceMissing Reason = "interface-missing" // there is no interface of this name
	ReasonInterfaceDown    Reason = "interface-down"    // no link, or set down
	ReasonNoAddress        Reason = "no-address"        // the interface has no address to send adverts from
	ReasonSocket           Reason = "socket"            // adverts cannot be sent or received
	ReasonTrack            Reason = "track"             // a track without weight has failed
	ReasonAddressRefused   Reason = "address-refused"   // the kernel does not take the virtual addresses
	ReasonGroupFault       Reason = "group-fault"       // another member of its sync group has a fault
	ReasonRemoved          Reason = "removed"           // no longer in the configuration
	ReasonResignStop       Reason = "resign-stop"       // the daemon stops
)

// Why it became backup.
const (
	ReasonStartup            Reason = "startup"                       // the interface is usable
	ReasonHigherPriority     Reason = "higher-priority-advert"        // as master
	ReasonEqualHigherAddress Reason = "equal-priority-higher-address" // as master
	ReasonLapsed             Reason = "lapsed"                        // as master: it was stalled while another took over
	ReasonSuccessorHeard     Reason = "successor-heard"               // left: the next master's advert has come
	ReasonSuccessorMissing   Reason = "successor-missing"             // left with its sync group: nobody took over in time
	ReasonResignFailover     Reason = "resign-failover"               // requested by an operator
	ReasonDirectorLost       Reason = "director-lost"                 // no director process for longer than the grace time
)

// ReasonGroup is why it became master, or left: the other members of its sync group have.
const ReasonGroup Reason = "group"

// Why it became master.
const (
	ReasonMasterDownTimer Reason = "master-down-timer"   // nothing heard of a master
	ReasonPriorityZero    Reason = "priority-0-received" // the master has left
	ReasonPreempt         Reason = "preempt"             // a master lives, of lower priority
	ReasonOwner           Reason = "owner"               // priority 255: at once
	ReasonAdopted         Reason = "adopted"             // it was master before its process was killed
	ReasonNobodyTookOver  Reason = "nobody-took-over"    // it tried to leave
	ReasonDirectorBack    Reason = "director-back"       // it was leaving, and what made it leave is over
	ReasonAddressesBack   Reason = "addresses-back"      // it was leaving, and the kernel takes all addresses again
	ReasonTrackBack       Reason = "track-back"          // it was leaving because of another track, which has recovered
)

// IsFault reports whether an instance is out of service for a reason that needs an operator.
func (r Reason) IsFault() bool {
	switch r {
	case ReasonInterfaceMissing, ReasonInterfaceDown, ReasonNoAddress, ReasonSocket, ReasonTrack, ReasonAddressRefused, ReasonGroupFault:
		return true
	}
	return false
}
