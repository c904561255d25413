package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/discovery/discoverytest"
)

func TestAdmission(t *testing.T) {
	many := make([]config.ListedServer, config.MaxListed+1)
	for _, tt := range []struct {
		servers    []config.ListedServer
		allowEmpty bool
		ok         bool
	}{{nil, false, false}, {nil, true, true}, {many[:1], false, true}, {many[1:], false, true}, {many, true, false}} {
		if err := admit(tt.servers, config.Source{AllowEmpty: tt.allowEmpty}); (err == nil) != tt.ok {
			t.Errorf("%d servers, empty lists allowed: %v: %v", len(tt.servers), tt.allowEmpty, err)
		}
	}
	if err := admit(nil, config.Source{}); !errors.Is(err, errEmpty) {
		t.Error(err)
	}
}

type keyed struct {
	key string
	Report
}

func await(t *testing.T, reports <-chan keyed) keyed {
	t.Helper()
	select {
	case r := <-reports:
		return r
	case <-time.After(time.Minute):
		t.Fatal("no report")
		return keyed{}
	}
}

// TestDiscoverer takes a DNS source and a file through changes and faults.
func TestDiscoverer(t *testing.T) {
	var names discoverytest.Nameserver
	at := serve(t, &names)
	names.SetAddresses("web.example.com", 0, "10.0.0.5")
	path := filepath.Join(t.TempDir(), "web.json")
	write(t, path, `["10.0.0.9"]`)
	reports := make(chan keyed, 100)
	d := New(Options{Report: func(key string, r Report) { reports <- keyed{key, r} }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	dns := config.Source{DNS: &config.DNSSource{Name: "web.example.com", Type: "A", Resolvers: []netip.AddrPort{at}, Timeout: 5 * time.Second, MinTTL: time.Millisecond, MaxTTL: time.Minute}}
	file := config.Source{File: &config.FileSource{Path: path}}
	d.Update(map[string]config.Source{"dns": dns})
	go func() { defer close(done); d.Run(ctx) }()
	expect := func(key, want string, ok bool) {
		t.Helper()
		for range 1000 {
			if r := await(t, reports); r.key == key && list(r.Servers) == want && (r.Err == nil) == ok {
				return
			}
		}
		t.Fatalf("%s never listed %q", key, want)
	}
	expect("dns", "10.0.0.5", true)
	names.SetAddresses("web.example.com", 0, "10.0.0.6", "10.0.0.7")
	expect("dns", "10.0.0.6 10.0.0.7", true)
	names.SetAddresses("web.example.com", 0)
	expect("dns", "", false)
	names.SetAddresses("web.example.com", 0, "10.0.0.5")
	expect("dns", "10.0.0.5", true)
	d.Update(map[string]config.Source{"file": file})
	expect("file", "10.0.0.9", true)
	write(t, path, `["10.0.0.8"]`)
	expect("file", "10.0.0.8", true)
	cancel()
	<-done
	d.Update(map[string]config.Source{"late": dns})
	if servers, err := Ask(t.Context(), file); err != nil || list(servers) != "10.0.0.8" {
		t.Errorf("%s, %v", list(servers), err)
	}
}

// TestSilentResolver: while many names wait for a resolver that does not answer, files are still read.
func TestSilentResolver(t *testing.T) {
	resolver, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer resolver.Close()
	at := netip.MustParseAddrPort(resolver.LocalAddr().String())
	path := filepath.Join(t.TempDir(), "web.json")
	write(t, path, `["10.0.0.9"]`)
	reports := make(chan keyed, 1000)
	d := New(Options{Report: func(key string, r Report) { reports <- keyed{key, r} }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	sources := map[string]config.Source{}
	for i := range maxAsking + 10 {
		name := fmt.Sprintf("%d.example.com", i)
		sources[name] = config.Source{DNS: &config.DNSSource{
			Name: name, Type: "A", Resolvers: []netip.AddrPort{at}, Timeout: askTimeout, MinTTL: time.Second, MaxTTL: time.Minute,
		}}
	}
	d.Update(sources)
	go func() { defer close(done); d.Run(ctx) }()
	for range maxAsking { // as many as may be asked wait for an answer
		if _, _, err := resolver.ReadFrom(make([]byte, 512)); err != nil {
			t.Fatal(err)
		}
	}
	sources["file"] = config.Source{File: &config.FileSource{Path: path}}
	d.Update(sources)
	if r := await(t, reports); r.key != "file" || list(r.Servers) != "10.0.0.9" {
		t.Errorf("the first report is of %s: %+v", r.key, r.Report)
	}
	cancel()
	<-done
}
