package vrrp

import (
	"net/netip"
	"time"
)

// Action is what a Machine wants done. The actions of one Step are carried out in their order, and each is complete
// before the next begins: an advert that follows AddAddresses makes another router take its own down. The types
// below are all there are.
type Action interface{ isAction() }

// SendAdvert sends one advert, as Instance.Advert builds it. Priority 0 says that this router leaves.
type SendAdvert struct{ Priority uint8 }

// AddAddresses puts addresses on their interface. Some may be there already.
type AddAddresses struct{ Addresses []Address }

// RemoveAddresses takes addresses off their interface. Some may be gone already.
type RemoveAddresses struct{ Addresses []Address }

// SendAnnouncements sends a burst of gratuitous ARP or unsolicited neighbour advertisements for each address. Its first
// packets are sent before the next action; repeats may follow later.
type SendAnnouncements struct{ Addresses []Address }

// Changed tells of a transition. It comes last but for nothing: after the actions that carried it out.
type Changed struct {
	From, To State
	Reason   Reason
}

// MasterHeard reports a backup's news of its master: another address, priority or interval than before.
type MasterHeard struct {
	Address    netip.Addr
	Priority   uint8
	Interval   time.Duration // in use
	Advertised time.Duration // differs from Interval where that is bounded by Instance.AdoptFactor
}

func (SendAdvert) isAction()        {}
func (AddAddresses) isAction()      {}
func (RemoveAddresses) isAction()   {}
func (SendAnnouncements) isAction() {}
func (Changed) isAction()           {}
func (MasterHeard) isAction()       {}
