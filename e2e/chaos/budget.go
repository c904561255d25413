package chaos

import (
	"fmt"
	"strings"
	"time"
)

// Budget limits the effects of a trouble. Each value is the longest uninterrupted duration.
type Budget struct {
	NoHolder time.Duration // no director has a virtual address
	Overlap  time.Duration // both have it, or both advertise
	Table    time.Duration // the holder's table is empty or has no server with a nonzero weight
	Forward  time.Duration // the holder does not forward packets
	API      time.Duration // a director's API does not answer
	Outage   time.Duration // the client gets no connection
	Recovery time.Duration // from the end of the troubles until the pair is healthy
}

// budgets assumes an advert interval of 100 ms, where a backup's master-down interval is 361 ms. docs/testing.md
// explains the values; a test compares the two tables.
var budgets = []struct {
	name  string
	about string
	Budget
}{
	{"smooth", "clients must not notice anything", smooth},
	{"restarted", "a director is restarted", restarted},
	{"handover", "the old master waits for the new one", handover},
	{"takeover", "the new master waits for the old one's adverts", takeover},
	{"orphaned", "the addresses of a dead director remain in its kernel", orphaned},
	{"watchdog", "a worker is killed after 5 s without a report", watchdog},
	{"crash", "the machine crashes and boots", crash},
	{"repaired", "the table is repaired", repaired},
	{"restored", "the address is restored", restored},
	{"doubled", "the address is on the wrong machine", doubled},
	{"forwarding", "the parameter is restored", forwarding},
	{"severed", "the servers are unreachable, then checked again", severed},
	{"flapping", "the roles may change with each flap", flapping},
}

const second = time.Second

var (
	smooth     = Budget{ms(50), ms(50), 0, 0, 1 * second, ms(250), 10 * second}
	restarted  = Budget{ms(50), ms(50), 0, 0, 5 * second, ms(250), 15 * second}
	handover   = Budget{ms(50), ms(500), 0, 0, 5 * second, ms(500), 20 * second}
	takeover   = Budget{ms(500), ms(500), 0, 0, 5 * second, ms(800), 20 * second}
	orphaned   = Budget{ms(500), 3 * second, 0, 0, 8 * second, ms(800), 20 * second}
	watchdog   = Budget{ms(500), 8 * second, 0, 0, 5 * second, ms(800), 20 * second}
	crash      = Budget{ms(500), ms(500), 0, 0, 15 * second, ms(800), 30 * second}
	repaired   = Budget{ms(50), ms(50), 1 * second, 0, 1 * second, ms(1500), 15 * second}
	restored   = Budget{ms(500), ms(50), 0, 0, 1 * second, ms(800), 15 * second}
	doubled    = Budget{ms(500), 2 * second, 0, 0, 1 * second, 2 * second, 15 * second}
	forwarding = Budget{ms(50), ms(50), 0, ms(250), 1 * second, ms(800), 15 * second}
	severed    = Budget{ms(500), ms(500), 2 * second, 0, 5 * second, 3 * second, 20 * second}
	flapping   = Budget{1 * second, 1 * second, 1 * second, 0, 2 * second, 2 * second, 20 * second}
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// plus returns the budget for both troubles together: their effects may occur back to back.
func (b Budget) plus(o Budget) Budget {
	return Budget{
		b.NoHolder + o.NoHolder, b.Overlap + o.Overlap, b.Table + o.Table, b.Forward + o.Forward,
		b.API + o.API, b.Outage + o.Outage, b.Recovery + o.Recovery,
	}
}

// lasting returns the budget for a trouble that lasted d.
func (t *Trouble) lasting(d time.Duration) Budget {
	b := t.Budget
	for _, one := range []struct {
		present bool
		of      *time.Duration
	}{
		{t.Present.NoHolder, &b.NoHolder}, {t.Present.Overlap, &b.Overlap}, {t.Present.Table, &b.Table},
		{t.Present.API, &b.API}, {t.Present.Outage, &b.Outage},
	} {
		if one.present {
			*one.of += d
		}
	}
	return b
}

// quantities lists the measured quantities in table order.
var quantities = []struct {
	name string
	of   func(*Budget) *time.Duration
}{
	{"no holder", func(b *Budget) *time.Duration { return &b.NoHolder }},
	{"overlap", func(b *Budget) *time.Duration { return &b.Overlap }},
	{"empty table", func(b *Budget) *time.Duration { return &b.Table }},
	{"no forwarding", func(b *Budget) *time.Duration { return &b.Forward }},
	{"API silent", func(b *Budget) *time.Duration { return &b.API }},
	{"client outage", func(b *Budget) *time.Duration { return &b.Outage }},
	{"recovery", func(b *Budget) *time.Duration { return &b.Recovery }},
}

// over lists the quantities that exceed allowed plus stalled, the time for which the machines were stalled.
func (b Budget) over(allowed Budget, stalled time.Duration) (broken []string) {
	for _, q := range quantities {
		if got, most := *q.of(&b), *q.of(&allowed)+stalled; got > most {
			broken = append(broken, fmt.Sprintf("%s for %v, want at most %v", q.name, got.Round(time.Millisecond), most.Round(time.Millisecond)))
		}
	}
	return broken
}

// worst returns the maximum of each quantity.
func (b Budget) worst(o Budget) Budget {
	for _, q := range quantities {
		*q.of(&b) = max(*q.of(&b), *q.of(&o))
	}
	return b
}

// String lists the quantities.
func (b Budget) String() string {
	var out []string
	for _, q := range quantities {
		out = append(out, fmt.Sprintf("%s %v", q.name, q.of(&b).Round(time.Millisecond)))
	}
	return strings.Join(out, ", ")
}
