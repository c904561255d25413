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

// Down reports that the instance cannot continue: its interface or a tracked one is down or missing.
type Down struct {
	Reason     Reason
	LinkUsable bool // the instance's own link works: leave cleanly, so that nothing is lost
}

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

// SetPriority sets the sum that tracks add to the configured priority.
type SetPriority struct{ Offset int }

// Hold forbids preempting a living master of lower priority while Reason is not empty. A dead master is still replaced.
type Hold struct{ Reason string }

// Resign hands over to another router.
type Resign struct {
	Reason   Reason
	Final    bool // the process ends: over within MaxFinalLeave whatever happens
	Fallback bool // go on as master at priority 1 if nobody takes over, and keep priority 1 until Restore
}

// SetDegraded says whether the kernel refuses some of the virtual addresses. A degraded router has priority 1: as master
// it hands over, and goes on with what it has if nobody takes over. Where all are refused, it is Down.
type SetDegraded struct{ Degraded bool }

// AddressesFound reports that virtual addresses are on a backup's interface. The backup removes them when it
// hears the master.
type AddressesFound struct{}

// Restore ends the effect of Resign.Fallback.
type Restore struct{ Reason Reason }

func (Up) isEvent()             {}
func (Down) isEvent()           {}
func (Timeout) isEvent()        {}
func (Received) isEvent()       {}
func (Configure) isEvent()      {}
func (SetPriority) isEvent()    {}
func (Hold) isEvent()           {}
func (Resign) isEvent()         {}
func (SetDegraded) isEvent()    {}
func (Restore) isEvent()        {}
func (AddressesFound) isEvent() {}
