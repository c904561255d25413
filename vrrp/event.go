package vrrp

import (
	"net/netip"
	"time"
)

// Event is an input to a Machine. The types below are the complete set.
type Event interface{ isEvent() }

// Up reports that the interface is usable and has a primary address. For a running instance, it only changes the address.
type Up struct {
	Source        netip.Addr // the primary address, from which adverts are sent
	HaveAddresses bool       // the virtual addresses are already on the interface
	Adopt         bool       // ... because this node was master until its speaker was killed: continue as master
}

// Down reports that the instance's interface is not usable: no advert can be sent.
type Down struct{ Reason Reason }

// Timeout reports that the machine's deadline has passed. Before the deadline it has no effect.
type Timeout struct{}

// Received is an advert that has passed Instance.Check.
type Received struct {
	Source   netip.Addr
	Priority uint8
	Interval time.Duration

	// At is when the advert arrived, if it is handled later: the timer that it starts counts from then. Zero means now.
	At time.Time
}

// Configure replaces the configuration. Interface, virtual router ID and family identify the machine: if they change,
// resign and start a new machine.
type Configure struct{ Instance Instance }

// Resign permanently hands over to another router, because the process is ending or the instance was removed. It always
// completes within MaxFinalLeave.
type Resign struct{ Reason Reason }

// AddressesFound reports that virtual addresses are on a backup's interface. The backup removes them when it next
// receives an advert from the master.
type AddressesFound struct{}

func (Up) isEvent()             {}
func (Down) isEvent()           {}
func (Timeout) isEvent()        {}
func (Received) isEvent()       {}
func (Configure) isEvent()      {}
func (Resign) isEvent()         {}
func (AddressesFound) isEvent() {}
