package vrrp

import (
	"net/netip"
	"time"
)

// Event is an input to a Machine. The types below are the complete set.
type Event interface{ isEvent() }

// Up says that the interface is usable and has a primary address. Once running, it only changes the address.
type Up struct {
	Source        netip.Addr // the primary address, from which adverts are sent
	HaveAddresses bool       // the virtual addresses are on the interface already
	Adopt         bool       // ... because this node was master until its speaker was killed: go on as master
}

// Down reports that the instance's interface does not work: no advert can be sent. Reason says why.
type Down struct{ Reason Reason }

// Timeout reports that the machine's deadline has passed. Before the deadline it has no effect.
type Timeout struct{}

// Received is an advert that Instance.Check let through.
type Received struct {
	Source   netip.Addr
	Priority uint8
	Interval time.Duration
}

// Configure replaces the configuration. Interface, virtual router id and family are the machine's identity: where
// they change, resign and start another machine.
type Configure struct{ Instance Instance }

// Resign hands over to another router for good: the process ends, or the instance is removed. It is over within
// MaxFinalLeave whatever happens.
type Resign struct{ Reason Reason }

// AddressesFound reports that virtual addresses are on a backup's interface. The backup removes them when it
// hears the master.
type AddressesFound struct{}

func (Up) isEvent()             {}
func (Down) isEvent()           {}
func (Timeout) isEvent()        {}
func (Received) isEvent()       {}
func (Configure) isEvent()      {}
func (Resign) isEvent()         {}
func (AddressesFound) isEvent() {}
