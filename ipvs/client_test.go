package ipvs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
	"github.com/lvs-ha/lvs-ha/internal/ipvsnl/ipvsnltest"
)

func openFake(t *testing.T, handle func(ipvsnltest.Call) ipvsnltest.Answer) (*Client, *ipvsnltest.Kernel) {
	t.Helper()
	kernel := ipvsnltest.New(handle)
	conn, err := ipvsnl.OpenWith(t.Context(), kernel.Dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kernel.Release(); conn.Close() })
	return NewClient(conn), kernel
}

func accept(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{} }

func refuse(errno syscall.Errno) func(ipvsnltest.Call) ipvsnltest.Answer {
	return func(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{Errno: errno} }
}

var (
	web    = ServiceAt(TCP, netip.MustParseAddrPort("192.0.2.1:80"))
	web6   = ServiceAt(UDP, netip.MustParseAddrPort("[2001:db8::1]:53"))
	marked = ServiceByMark(IPv6, 7)
	first  = DestinationKey{Address: netip.MustParseAddr("10.0.0.1"), Port: 8080}
	first6 = DestinationKey{Address: netip.MustParseAddr("2001:db8::a"), Port: 0}
)

// The bytes are little-endian, in the layout of include/uapi/linux/ip_vs.h.
func TestExactMessages(t *testing.T) {
	const ack = netlink.Request | netlink.Acknowledge
	const (
		webKey  = "0600010002000000" + "0600020006000000" + "14000300c0000201" + "000000000000000000000000" + "0600040000500000"
		markKey = "060001000a000000" + "0800050007000000"
	)
	for _, tt := range []struct {
		name    string
		do      func(*Client) error
		command uint8
		flags   netlink.HeaderFlags
		want    string
	}{
		{
			"new service", func(c *Client) error {
				return c.NewService(t.Context(), Service{
					ServiceKey: web, Scheduler: "sh", Flags: FlagPersistent | FlagHashed | FlagSched2, PersistenceTimeout: 300,
					Netmask: 0xffffff00, PersistenceEngine: "sip",
				})
			}, 1, ack,
			"5c000180" + webKey + "0700060073680000" + "08000b0073697000" + "0c00070011000000ffffffff" + "080008002c010000" + "08000900ffffff00",
		},
		{
			"set service", func(c *Client) error {
				return c.SetService(t.Context(), Service{ServiceKey: web6, Scheduler: "rr", Netmask: 64})
			}, 2, ack,
			"54000180" + "060001000a000000" + "0600020011000000" + "1400030020010db8000000000000000000000001" + "0600040000350000" +
				"0700060072720000" + "0c00070000000000ffffffff" + "0800080000000000" + "0800090040000000",
		},
		{"delete service", func(c *Client) error { return c.DeleteService(t.Context(), marked) }, 3, ack, "14000180" + markKey},
		{
			"new destination", func(c *Client) error {
				return c.NewDestination(t.Context(), web, Destination{
					DestinationKey: first, Forward: Tunnel, Weight: 70000, UpperThreshold: 2, LowerThreshold: 1,
					TunnelType: TunnelGUE, TunnelPort: 6080, TunnelFlags: TunnelRemoteChecksum,
				})
			}, 5, ack,
			"30000180" + webKey + "60000280" + "06000b0002000000" + "140001000a000001000000000000000000000000" + "060002001f900000" +
				"0800030002000000" + "0800040070110100" + "0800050002000000" + "0800060001000000" +
				"05000d0001000000" + "06000e0017c00000" + "06000f0002000000",
		},
		{
			"set destination", func(c *Client) error {
				return c.SetDestination(t.Context(), marked, Destination{DestinationKey: first6, Forward: DirectRoute})
			}, 6, ack,
			"14000180" + markKey + "60000280" + "06000b000a000000" + "1400010020010db800000000000000000000000a" + "0600020000000000" +
				"0800030003000000" + "0800040000000000" + "0800050000000000" + "0800060000000000" +
				"05000d0000000000" + "06000e0000000000" + "06000f0000000000",
		},
		{
			"delete destination", func(c *Client) error { return c.DeleteDestination(t.Context(), web, first) }, 7, ack,
			"30000180" + webKey + "28000280" + "06000b0002000000" + "140001000a000001000000000000000000000000" + "060002001f900000",
		},
		{"services", func(c *Client) error { _, err := c.Services(t.Context()); return err }, 4, netlink.Request | netlink.Dump, ""},
		{"flush", func(c *Client) error { return c.Flush(t.Context()) }, 17, ack, ""},
		{"zero", func(c *Client) error { return c.Zero(t.Context(), marked) }, 16, ack, "14000180" + markKey},
		{"zero all", func(c *Client) error { return c.ZeroAll(t.Context()) }, 16, ack, ""},
		{"timeouts", func(c *Client) error { return c.SetTimeouts(t.Context(), Timeouts{TCPFin: 60}) }, 12, ack, "080005003c000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, kernel := openFake(t, accept)
			if err := tt.do(c); err != nil {
				t.Fatal(err)
			}
			calls := kernel.Calls()
			if len(calls) != 1 || calls[0].Command != tt.command || calls[0].Flags != tt.flags {
				t.Fatalf("got calls %+v, want one of command %d with flags %s", calls, tt.command, tt.flags)
			}
			if got := hex.EncodeToString(calls[0].Attributes); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// serve answers reads from a table. If gone is set, services without destinations are listed but no longer exist when
// they are read by name.
func serve(t *testing.T, table []ServiceState, gone ServiceKey) func(ipvsnltest.Call) ipvsnltest.Answer {
	byKey := map[string]ServiceState{}
	var services [][]byte
	for _, s := range table {
		services = append(services, must(encode(s.encode, nil)))
		if s.ServiceKey != gone {
			byKey[string(must(encode(s.ServiceKey.encode, nil)))] = s
		}
	}
	return func(call ipvsnltest.Call) ipvsnltest.Answer {
		s, found := byKey[string(call.Attributes)]
		switch {
		case call.Command == ipvsnl.CmdGetService && call.Flags&netlink.Dump != 0:
			return ipvsnltest.Answer{Messages: services}
		case call.Command == ipvsnl.CmdGetService && found:
			return ipvsnltest.Answer{Messages: [][]byte{must(encode(s.encode, nil))}}
		case call.Command == ipvsnl.CmdGetService:
			return ipvsnltest.Answer{Errno: syscall.ESRCH}
		case call.Command != ipvsnl.CmdGetDest:
			t.Errorf("unexpected command %d", call.Command)
		}
		var list [][]byte
		for _, d := range s.Destinations {
			list = append(list, must(encode(s.ServiceKey.encode, d.encode)))
		}
		return ipvsnltest.Answer{Messages: list}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// A service that disappears during the read is left out.
func TestTable(t *testing.T) {
	want := []ServiceState{
		{
			Service:      Service{ServiceKey: web, Scheduler: "wlc", Netmask: hostMask},
			Destinations: []DestinationState{{Destination: Destination{DestinationKey: first, Weight: 1}}},
		},
		{Service: Service{ServiceKey: marked, Scheduler: "rr", Netmask: hostPrefix}},
	}
	gone := ServiceState{Service: Service{ServiceKey: web6, Scheduler: "rr", Netmask: hostPrefix}}
	c, _ := openFake(t, serve(t, append(want, gone), web6))
	got, err := c.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, values); diff != "" {
		t.Error(diff)
	}
	got, err = c.Lookup(t.Context(), []ServiceKey{web6, marked})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[1:], got, values); diff != "" {
		t.Error(diff)
	}
	if _, err := c.Destinations(t.Context(), web6); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("got error %v, want ESRCH", err)
	}
}

func TestErrorsNameTheRemedy(t *testing.T) {
	service := Service{ServiceKey: web, Scheduler: "mh", PersistenceEngine: "sip"}
	mixed := Destination{DestinationKey: first6}
	for _, tt := range []struct {
		errno syscall.Errno
		do    func(*Client) error
		names []string // objects, and words of the remedy
	}{
		{syscall.EPERM, func(c *Client) error { return c.Flush(t.Context()) }, []string{"CAP_NET_ADMIN"}},
		{syscall.ENOENT, func(c *Client) error { return c.NewService(t.Context(), service) }, []string{"tcp 192.0.2.1:80", "`modprobe ip_vs_mh`", "`modprobe ip_vs_pe_sip`"}},
		{syscall.EINVAL, func(c *Client) error { return c.NewDestination(t.Context(), web, mixed) }, []string{"[2001:db8::a]:0", "tcp 192.0.2.1:80", "tunnelling"}},
		{syscall.ENOENT, func(c *Client) error { return c.DeleteDestination(t.Context(), web, first) }, []string{"10.0.0.1:8080", "tcp 192.0.2.1:80"}},
		{syscall.ESRCH, func(c *Client) error { _, err := c.Service(t.Context(), marked); return err }, []string{"fwmark 7 ipv6"}},
	} {
		c, _ := openFake(t, refuse(tt.errno))
		err := tt.do(c)
		for _, name := range tt.names {
			if !strings.Contains(fmt.Sprint(err), name) {
				t.Errorf("%v does not name %s", err, name)
			}
		}
		if !errors.Is(err, tt.errno) || !IsRefusal(err) {
			t.Errorf("%v is not a refusal with errno %d", err, tt.errno)
		}
	}
}

func TestIncompleteKeysAreRefused(t *testing.T) {
	c, kernel := openFake(t, accept)
	for _, err := range []error{
		c.NewService(t.Context(), Service{}),
		c.NewDestination(t.Context(), web, Destination{}),
		c.Zero(t.Context(), ServiceKey{Protocol: TCP, Port: 80}),
		c.Execute(t.Context(), []Step{{Action: "paint", Service: Service{ServiceKey: web}}})[0],
	} {
		if err == nil {
			t.Error("got no error")
		}
	}
	if calls := kernel.Calls(); len(calls) > 0 {
		t.Errorf("the kernel was asked %+v", calls)
	}
}

func TestExecuteReturnsErrorPerStep(t *testing.T) {
	c, _ := openFake(t, func(call ipvsnltest.Call) ipvsnltest.Answer {
		if call.Command == ipvsnl.CmdDelService {
			return ipvsnltest.Answer{Errno: syscall.ESRCH}
		}
		return ipvsnltest.Answer{}
	})
	errs := c.Execute(t.Context(), []Step{
		{Action: AddService, Service: Service{ServiceKey: web}},
		{Action: AddService},
		{Action: DeleteService, Service: Service{ServiceKey: marked}},
		{Action: AddService, Service: Service{ServiceKey: web6}},
	})
	if errs[0] != nil || errs[1] == nil || !errors.Is(errs[2], syscall.ESRCH) || errs[3] != nil {
		t.Errorf("got %v", errs)
	}
	if IsDrift(errs[1]) || !IsDrift(errs[2]) {
		t.Errorf("drift: got %v and %v", IsDrift(errs[1]), IsDrift(errs[2]))
	}
}

func TestInfoAndTimeouts(t *testing.T) {
	c, _ := openFake(t, func(call ipvsnltest.Call) ipvsnltest.Answer {
		ae := netlink.NewAttributeEncoder()
		if call.Command == ipvsnl.CmdGetInfo {
			ae.Uint32(1, 0x010201)
			ae.Uint32(2, 4096)
		} else {
			ae.Uint32(4, 900)
			ae.Uint32(5, 120)
			ae.Uint32(6, 300)
		}
		return ipvsnltest.Answer{Messages: [][]byte{must(ae.Encode())}}
	})
	if got, err := c.Info(t.Context()); err != nil || got != (Info{Version: 0x010201, TableSize: 4096}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := c.Timeouts(t.Context()); err != nil || got != (Timeouts{TCP: 900, TCPFin: 120, UDP: 300}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
