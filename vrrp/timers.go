package vrrp

import (
	"fmt"
	"time"
)

const centisecond = 10 * time.Millisecond

// SkewTime is by how much a backup waits longer the lower its priority is: version 2 in parts of a second (RFC 3768,
// 6.1), version 3 in parts of the master's interval (RFC 9568, 6.1).
func SkewTime(version, priority uint8, interval time.Duration) time.Duration {
	if version == 2 {
		interval = time.Second
	}
	return time.Duration(256-int(priority)) * interval / 256
}

// MasterDownInterval is how long a backup waits for an advert before it takes over (RFC 9568's Active_Down_Interval).
func MasterDownInterval(version, priority uint8, interval time.Duration) time.Duration {
	return 3*interval + SkewTime(version, priority, interval)
}

// intervalProblem describes what is wrong with an advertisement interval; empty if nothing is.
func intervalProblem(version uint8, d time.Duration) string {
	unit, least, most := centisecond, MinAdvertiseInterval, MaxAdvertiseInterval
	if version == 2 {
		unit, least, most = time.Second, MinAdvertiseIntervalV2, MaxAdvertiseIntervalV2
	}
	switch {
	case d < least || d > most:
		return fmt.Sprintf("version %d allows %s to %s", version, least, most)
	case d%unit != 0:
		below := d.Truncate(unit)
		return fmt.Sprintf("version %d allows only multiples of %s: write %s or %s", version, unit, below, below+unit)
	}
	return ""
}

// interval is the advertisement interval in force: a version 3 backup adopts its master's.
func (m *Machine) interval() time.Duration { return m.adopt(m.master.interval) }

// adopt bounds what is believed of an advertised interval: a forged advert of 40.95 s would otherwise leave the addresses
// unserved for 141 s. A shorter interval is adopted as it is: a master that lives repeats its adverts.
func (m *Machine) adopt(advertised time.Duration) time.Duration {
	if m.in.Version == 2 || advertised <= 0 {
		return m.in.AdvertiseInterval
	}
	return min(advertised, time.Duration(m.in.adoptFactor())*m.in.AdvertiseInterval)
}

func (in *Instance) adoptFactor() int {
	if in.AdoptFactor == 0 {
		return AdoptFactorDefault
	}
	return in.AdoptFactor
}

func (m *Machine) skew() time.Duration {
	return SkewTime(m.in.Version, m.Priority(), m.interval())
}

func (m *Machine) masterDown() time.Duration { return m.downAfter(m.master.interval) }

// downAfter is the master-down interval of a master with the given interval.
func (m *Machine) downAfter(interval time.Duration) time.Duration {
	return MasterDownInterval(m.in.Version, m.Priority(), m.adopt(interval))
}

// retime makes a change that may move the effective priority, and a backup's running timer with it.
func (m *Machine) retime(now time.Time, change func()) {
	priority, skew := m.Priority(), m.skew()
	change()
	switch m.state {
	case Backup:
		m.due = m.due.Add(m.skew() - skew)
		m.reconsiderRival(now)
	case Master:
		if m.Priority() > priority {
			m.advertise(now) // before a backup that ignores the lower one takes over
		}
	}
}
