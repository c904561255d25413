package healthcheck_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

var agentSpec = Spec{Check: &Agent{}, Timeout: 5 * time.Second}

// saying sends a text to each client and closes the connection.
func saying(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = c.Write([]byte(text)) }
}

func TestAgent(t *testing.T) {
	for said, want := range map[string]Result{
		"up\n":                        {OK: true, Decisive: true, Detail: "agent: up"},
		"75%\n":                       {Neutral: true, Decisive: true, Advice: Advice{Unit: Percent, Number: 75}, Detail: "agent: 75%"},
		"50\n":                        {Neutral: true, Decisive: true, Advice: Advice{Unit: Percent, Number: 50}, Detail: "agent: 50%"}, // readme.hex.pm/agent_check
		"up, 75%\tmaxconn:30\r\nrest": {OK: true, Decisive: true, Advice: Advice{Unit: Percent, Number: 75, MaxConn: 30}, Detail: "agent: up 75% maxconn:30"},
		"drain":                       {Neutral: true, Decisive: true, Advice: Advice{Mode: Drain}, Detail: "agent: drain"},
		"MAINT":                       {Neutral: true, Decisive: true, Advice: Advice{Mode: Maintenance}, Detail: "agent: maint"},
		"ready up #all well":          {OK: true, Decisive: true, Advice: Advice{Mode: Ready}, Detail: "agent: up ready"},
		"down #no space left\n":       {Decisive: true, Reason: Told, Detail: "agent: down"},
		"stopped":                     {Decisive: true, Reason: Told, Detail: "agent: stopped"},
		"fail 10%":                    {Decisive: true, Reason: Told, Advice: Advice{Unit: Percent, Number: 10}, Detail: "agent: fail 10%"},

		"hello\n":                   {Neutral: true, Reason: Protocol, Detail: "agent: the line has no word that is known"},
		"\n":                        {Neutral: true, Reason: Protocol, Detail: "agent: the line has no word that is known"},
		"up 7x%\n":                  {Neutral: true, Reason: Protocol, Detail: "agent: a number is out of range"},
		"":                          {Neutral: true, Reason: Closed, Detail: "connection closed while waiting for the agent"},
		strings.Repeat("up ", 1000): {Neutral: true, Reason: Protocol, Detail: "protocol error while waiting for the agent"},
		"\x16\x03\x01\x00\xff\n":    {Neutral: true, Reason: Protocol, Detail: "agent: the line has no word that is known"},
	} {
		if got := check(t, agentSpec, serve(t, loopback, saying(said))); got != want {
			t.Errorf("%.20q:\n got %+v\nwant %+v", said, got, want)
		}
	}
}

// TestAgentThatHangs checks that an agent that accepts and is silent, or trickles bytes without end, ends in time.
func TestAgentThatHangs(t *testing.T) {
	for _, handle := range []func(net.Conn){hold, trickling('u')} {
		spec := agentSpec
		spec.Timeout = 50 * time.Millisecond
		if r := check(t, spec, serve(t, loopback, handle)); r.OK || !r.Neutral || r.Local || r.Reason != TimedOut {
			t.Errorf("%+v", r)
		}
	}
	if r := check(t, agentSpec, closedPort(t, loopback)); !r.Neutral || r.Local || r.Reason != Refused {
		t.Errorf("%+v", r)
	}
}

// TestAgentReceivesText checks that the configured text is sent before the answer is read.
func TestAgentReceivesText(t *testing.T) {
	spec := agentSpec
	spec.Check = &Agent{Send: "state\n"}
	server := serve(t, loopback, func(c net.Conn) {
		var b [6]byte
		if n, _ := c.Read(b[:]); string(b[:n]) == "state\n" {
			_, _ = c.Write([]byte("up\n"))
		}
	})
	if r := check(t, spec, server); !r.OK {
		t.Errorf("%+v", r)
	}
}

// after returns the health of a target after each of some results.
func after(t *testing.T, spec Spec, results ...Result) []Health {
	t.Helper()
	var all []Health
	synctest.Test(t, func(t *testing.T) {
		var next atomic.Int64
		f := newFarm(t, func(context.Context, netip.AddrPort) Result {
			return results[min(int(next.Add(1)), len(results))-1]
		})
		spec.Interval, spec.Rise, spec.Fall, spec.Jitter = time.Second, 2, 3, time.Nanosecond
		s := NewScheduler(f.options())
		update(t, s, targets(1, spec))
		defer start(t, s)()
		time.Sleep(time.Duration(len(results)) * 1100 * time.Millisecond)
		synctest.Wait()
		for _, e := range f.reported()[:len(results)] {
			all = append(all, e.Health)
		}
	})
	return all
}

// TestAgentDecides follows a server through what its agent says: its words act at once, and stay until it says otherwise.
func TestAgentDecides(t *testing.T) {
	say := func(r Result) Result { r.Decisive = true; return r }
	got := after(t, agentSpec,
		Result{Neutral: true, Reason: Refused},
		say(Result{Neutral: true, Advice: Advice{Unit: Percent, Number: 50}}),
		say(Result{Reason: Told, Advice: Advice{Mode: Drain}}),
		Result{Neutral: true, Reason: TimedOut},
		Result{Local: true},
		say(Result{OK: true}),
		say(Result{Neutral: true, Advice: Advice{Mode: Ready, MaxConn: 9}}))
	half := Advice{Unit: Percent, Number: 50}
	drained := Advice{Unit: Percent, Number: 50, Mode: Drain}
	for i, want := range []Health{
		{State: Up}, {State: Up, Advice: half}, {State: Down, Advice: drained}, {State: Down, Advice: drained}, {State: Down, Advice: drained},
		{State: Up, Advice: drained}, {State: Up, Advice: Advice{Unit: Percent, Number: 50, Mode: Ready, MaxConn: 9}},
	} {
		if got[i].State != want.State || got[i].Advice != want.Advice {
			t.Errorf("after result %d: %v, %+v; want %v, %+v", i, got[i].State, got[i].Advice, want.State, want.Advice)
		}
	}
}

// TestWeightMovesAtItsRate checks that the rate applies between the results of a target.
func TestWeightMovesAtItsRate(t *testing.T) {
	say := func(n float64) Result { return Result{OK: true, Advice: Advice{Unit: Percent, Number: n}} }
	spec := agentSpec
	spec.Weight = &Weight{Rate: 10, Minimum: 75}
	var last float64
	for i, h := range after(t, spec, say(100), say(0), say(0), say(0), say(0), say(0)) {
		n := h.Advice.Number
		if want := max(75, 100-10*float64(i)); n < want-1 || n > want+10 || i > 0 && n > last {
			t.Errorf("%v after %d s, want about %v", n, i, want)
		}
		last = n
	}
	if last != 75 {
		t.Errorf("%v at the end, want the minimum", last)
	}
}
