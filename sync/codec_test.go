package connsync

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mdlayher/netlink"
	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
	"github.com/lvs-ha/lvs-ha/internal/ipvsnl/ipvsnltest"
)

var values = cmpopts.EquateComparable(netip.Addr{})

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRunning(t)
		b, err := encodeStart(want.Role, want.Daemon)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, values); diff != "" {
			t.Error(diff)
		}
	})
}

func drawRunning(t *rapid.T) Running {
	return Running{
		Role: rapid.SampledFrom([]Role{Master, Backup}).Draw(t, "role"),
		Daemon: Daemon{
			Interface: rapid.SampledFrom([]string{"eth0", "eth1", "a-name-of-15-ch"}).Draw(t, "interface"),
			SyncID:    rapid.Uint32Range(0, 255).Draw(t, "sync id"),
			MaxLen:    rapid.SampledFrom([]uint16{0, 1, 1400, 65535}).Draw(t, "maxlen"),
			Group: rapid.SampledFrom([]netip.Addr{
				{}, netip.MustParseAddr("224.0.0.81"), netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("ff02::81"),
			}).Draw(t, "group"),
			Port: rapid.SampledFrom([]uint16{0, 8848, 65535}).Draw(t, "port"),
			TTL:  rapid.SampledFrom([]uint8{0, 1, 255}).Draw(t, "ttl"),
		},
	}
}

// The bytes are little-endian, in the layout of include/uapi/linux/ip_vs.h; the port is in host order.
func TestExactMessages(t *testing.T) {
	full := Daemon{Interface: "eth1", SyncID: 51, MaxLen: 1400, Group: netip.MustParseAddr("239.1.2.3"), Port: 8849, TTL: 2}
	for _, tt := range []struct {
		name    string
		do      func(*Client) error
		command uint8
		flags   netlink.HeaderFlags
		want    string
	}{
		{
			"start", func(c *Client) error { return c.Start(t.Context(), Master, full) }, 9, netlink.Request | netlink.Acknowledge,
			"40000380" + "0800010001000000" + "090002006574683100000000" + "0800030033000000" + "0600040078050000" +
				"08000500ef010203" + "0600070091220000" + "0500080002000000",
		},
		{
			"start with defaults", func(c *Client) error { return c.Start(t.Context(), Backup, Daemon{Interface: "lo"}) }, 9,
			netlink.Request | netlink.Acknowledge,
			"1c000380" + "0800010002000000" + "070002006c6f0000" + "0800030000000000",
		},
		{
			"stop", func(c *Client) error { return c.Stop(t.Context(), Backup) }, 10, netlink.Request,
			"0c000380" + "0800010002000000",
		},
		{"list", func(c *Client) error { _, err := c.Daemons(t.Context()); return err }, 11, netlink.Request | netlink.Dump, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kernel := ipvsnltest.New(func(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{} })
			conn, err := ipvsnl.OpenWith(t.Context(), kernel.Dial)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := tt.do(NewClient(conn)); err != nil {
				t.Fatal(err)
			}
			calls := kernel.Calls()
			if len(calls) == 0 || calls[0].Command != tt.command || calls[0].Flags != tt.flags {
				t.Fatalf("got calls %+v, want the first of command %d with flags %s", calls, tt.command, tt.flags)
			}
			if got := hex.EncodeToString(calls[0].Attributes); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// The kernel sends no answer if a daemon is stopped before its thread has run.
func TestStopWithoutAnswer(t *testing.T) {
	kernel := ipvsnltest.New(func(c ipvsnltest.Call) ipvsnltest.Answer {
		return ipvsnltest.Answer{Lost: c.Command == ipvsnl.CmdDelDaemon}
	})
	conn, err := ipvsnl.OpenWith(t.Context(), kernel.Dial)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := NewClient(conn).Stop(t.Context(), Master); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, d := range []Daemon{
		{Interface: "eth0", SyncID: 1}, {Interface: "eth0", MaxLen: 1, Group: netip.MustParseAddr("ff02::81"), Port: 2, TTL: 3},
	} {
		b, err := encodeStart(Backup, d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-3])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			return
		}
		encoded, err := encodeStart(r.Role, r.Daemon)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		r.Daemon.Group = r.Daemon.Group.Unmap()
		if diff := cmp.Diff(r, again, values); diff != "" {
			t.Error(diff)
		}
	})
}
