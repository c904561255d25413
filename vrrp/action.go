package vrrp

import (
	"net/netip"
	"time"
)

// Action is an effect that a Machine requests. The actions of one Step are carried out in order, and each is complete
// before the next begins: an advert that follows AddAddresses makes another router remove its addresses. The types
// below are the complete set.
type Action interface{ isAction() }

// SendAdvert sends one advert, as Instance.Advert builds it. Priority 0 announces that this router is leaving.
type SendAdvert struct{ Priority uint8 }

// AddAddresses adds addresses to their interface, and then routes and rules. Some may already be present.
type AddAddresses struct {
	Addresses []Address
	Routing   Routing
}

// RemoveAddresses removes rules, routes and addresses. Some may already be absent.
type RemoveAddresses struct {
	Addresses []Address
	Routing   Routing
}

// SendAnnouncements sends a burst of gratuitous ARP or unsolicited neighbour advertisements for each address. Its first
// packets are sent before the next action; repeats may follow later.
type SendAnnouncements struct{ Addresses []Address }

// Changed reports a transition. It is always emitted after the actions that carried it out.
type Changed struct {
	From, To State
	Reason   Reason
}

// MasterHeard reports that a backup's master has changed its address, priority or interval.
type MasterHeard struct {
	Address    netip.Addr
	Priority   uint8
	Interval   time.Duration // in use
	Advertised time.Duration // differs from Interval if Instance.AdoptFactor bounds it
}

func (SendAdvert) isAction()        {}
func (AddAddresses) isAction()      {}
func (RemoveAddresses) isAction()   {}
func (SendAnnouncements) isAction() {}
func (Changed) isAction()           {}
func (MasterHeard) isAction()       {}
