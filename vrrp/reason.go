package vrrp

// Reason is the reason for a transition.
type Reason string

// Reasons why an instance is in Initialize, or is leaving for it.
const (
	ReasonStart            Reason = "start"             // initial value, before any transition
	ReasonInterfaceMissing Reason = "interface-missing" // the interface does not exist
	ReasonInterfaceDown    Reason = "interface-down"    // the interface has no link or is set down
	ReasonNoAddress        Reason = "no-address"        // the interface has no source address for adverts
	ReasonSocket           Reason = "socket"            // adverts cannot be sent or received
	ReasonVMAC             Reason = "vmac"              // the interface for the virtual MAC address cannot be created
	ReasonTrack            Reason = "track"             // a track without weight has failed
	ReasonTrackPending     Reason = "track-pending"     // a track without weight has no result yet, its own or that of a member of its sync group
	ReasonAddressRefused   Reason = "address-refused"   // the kernel refuses the virtual addresses
	ReasonGroupFault       Reason = "group-fault"       // another member of its sync group has a fault
	ReasonRemoved          Reason = "removed"           // no longer in the configuration
	ReasonResignStop       Reason = "resign-stop"       // the daemon is stopping
)

// Reasons why it became backup.
const (
	ReasonStartup            Reason = "startup"                       // the interface is usable
	ReasonHigherPriority     Reason = "higher-priority-advert"        // as master
	ReasonEqualHigherAddress Reason = "equal-priority-higher-address" // as master
	ReasonLapsed             Reason = "lapsed"                        // as master: the process was stalled while another router took over
	ReasonSuccessorHeard     Reason = "successor-heard"               // after leaving: the next master's advert has arrived
	ReasonSuccessorMissing   Reason = "successor-missing"             // after leaving with its sync group: no router took over in time
	ReasonResignFailover     Reason = "resign-failover"               // requested by an operator
	ReasonDirectorLost       Reason = "director-lost"                 // no director process for longer than the grace time
)

// ReasonGroup means that it became master, or left, because the other members of its sync group did.
const ReasonGroup Reason = "group"

// Reasons why it became master.
const (
	ReasonMasterDownTimer Reason = "master-down-timer"   // no advert from a master in time
	ReasonPriorityZero    Reason = "priority-0-received" // the master has left
	ReasonPreempt         Reason = "preempt"             // the active master has a lower priority
	ReasonOwner           Reason = "owner"               // priority 255: takes over immediately
	ReasonAdopted         Reason = "adopted"             // it was master before its process was killed
	ReasonNobodyTookOver  Reason = "nobody-took-over"    // it was leaving, but no router took over
	ReasonDirectorBack    Reason = "director-back"       // it was leaving for lack of a director, and the director is back
	ReasonAddressesBack   Reason = "addresses-back"      // it was leaving, and the kernel accepts all addresses again
	ReasonTrackBack       Reason = "track-back"          // it was leaving because of another track, which has recovered
)

// IsFault reports whether an instance is out of service for a reason that needs an operator.
func (r Reason) IsFault() bool {
	switch r {
	case ReasonInterfaceMissing, ReasonInterfaceDown, ReasonNoAddress, ReasonSocket, ReasonVMAC, ReasonTrack, ReasonAddressRefused, ReasonGroupFault:
		return true
	}
	return false
}
