package vrrp

import (
	"fmt"
	"time"
)

const centisecond = 10 * time.Millisecond

// SkewTime returns the additional time that a backup waits, which grows as its priority falls: in fractions of a second
// for version 2 (RFC 3768, 6.1), in fractions of the master's interval for version 3 (RFC 9568, 6.1).
func SkewTime(version, priority uint8, interval time.Duration) time.Duration {
	if version == 2 {
		interval = time.Second
	}
	return time.Duration(256-int(priority)) * interval / 256
}

// MasterDownInterval returns how long a backup waits for an advert before it takes over (Active_Down_Interval in
// RFC 9568).
func MasterDownInterval(version, priority uint8, interval time.Duration) time.Duration {
	return 3*interval + SkewTime(version, priority, interval)
}

// intervalProblem returns why an advertisement interval is invalid, or "" if it is valid.
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

// Interval returns the advertisement interval in use: a version 3 backup adopts its master's.
func (m *Machine) Interval() time.Duration { return m.adopt(m.master.interval) }

// adopt limits an advertised interval: otherwise a forged advert with 40.95 s could leave the addresses unserved for
// 141 s. A shorter interval is adopted unchanged, because an active master repeats its adverts.
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
	return SkewTime(m.in.Version, m.Priority(), m.Interval())
}

func (m *Machine) masterDown() time.Duration { return m.downAfter(m.master.interval) }

// downAfter returns the master-down interval for a master with the given advertisement interval.
func (m *Machine) downAfter(interval time.Duration) time.Duration {
	return MasterDownInterval(m.in.Version, m.Priority(), m.adopt(interval))
}

// retime calls change, which may change the effective priority, and adjusts a backup's running timer to it.
func (m *Machine) retime(now time.Time, change func()) {
	priority, skew := m.Priority(), m.skew()
	change()
	switch m.state {
	case Backup:
		m.due = m.due.Add(m.skew() - skew)
		m.reconsiderRival(now)
	case Master:
		if m.Priority() > priority {
			m.advertise(now) // before a backup that was about to preempt the lower priority takes over
		}
	}
}
