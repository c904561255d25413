package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/effect"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestHostImportedVRRP runs keepalived with generated configurations and lvs-ha with what the import makes of them, each on a host of
// its own, and compares the adverts on the wire, the addresses, routes and rules, and the calls of scripts and the lines of the FIFO
// while another router takes over, the link fails and the program stops.
func TestHostImportedVRRP(t *testing.T) {
	lab.Need(t, lab.Host)
	seed, times := lab.Seed(t, 3)
	for batch := range slices.Chunk(seedsFrom(seed, times), 10) {
		t.Run(fmt.Sprintf("seeds %d to %d", batch[0], batch[len(batch)-1]), func(t *testing.T) {
			dir, err := os.MkdirTemp("/run", "vrrp") // a path that only root can change, as a script's must be
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			l := lab.NewT(t, "import")
			var all []*imported
			for i, seed := range batch {
				all = append(all, startVRRP(t, l, dir, seed, i))
			}
			for _, d := range all {
				d.compareVRRP()
			}
			histories(all)
		})
	}
}

func startVRRP(t *testing.T, l *lab.Lab, dir string, seed uint64, number int) *imported {
	t.Helper()
	d := &imported{t: t, seed: seed, text: generateVRRP(rand.New(rand.NewPCG(seed, 1)))}
	d.theirs, d.ours = newSide(t, l, dir, fmt.Sprint("theirs", number)), newSide(t, l, dir, fmt.Sprint("ours", number))
	for _, s := range []*side{d.theirs, d.ours} {
		s.write("note", noteCalls, 0o700)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d\n%s\n%s\n%s", seed, d.text, d.complaints, d.hcl)
		}
	})
	d.theirs.startKeepalived(d.text, "-P")
	d.startOurs()
	return d
}

func (d *imported) compareVRRP() {
	t, theirs, ours := d.t, d.theirs, d.ours
	t.Helper()
	routers := strings.Count("\n"+d.text, "\nvrrp_instance")
	theirs.awaitRouters(routers)
	ours.awaitRouters(routers)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_ = lab.Await(ctx, func() bool { return maps.Equal(theirs.adverts(), ours.adverts()) }) // after the first results of tracks
	for id, want := range theirs.adverts() {
		if got := ours.adverts()[id]; got != want {
			t.Errorf("seed %d: %s\nkeepalived %s\nlvs-ha     %s", d.seed, id, want, got)
		}
	}
	if err := lab.Await(ctx, func() bool { return theirs.routes() == ours.routes() }); err != nil {
		t.Errorf("seed %d: routes and rules: only keepalived's\n%s\nonly lvs-ha's\n%s", d.seed, without(theirs.routes(), ours.routes()), without(ours.routes(), theirs.routes()))
	}
	if err := lab.Await(ctx, func() bool { return theirs.addresses() == ours.addresses() }); err != nil {
		t.Errorf("seed %d: keepalived's addresses\n%s\nlvs-ha's\n%s", d.seed, theirs.addresses(), ours.addresses())
	}
	// What is computed assumes that scripts succeed. For the one that fails, this has the same effect.
	path := theirs.write("succeeds.conf", strings.ReplaceAll(theirs.own(d.text), "weight -9\n", "weight 9 reverse\n"), 0o600)
	theirs.compare(ctx, keepalivedEffect(t, path, func(string) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fe80::ff:fe00:1")}
	}))
}

// keepalivedEffect is what `lvs-ha import --check` takes as keepalived's.
func keepalivedEffect(t *testing.T, path string, interfaces effect.Interfaces) *effect.Effect {
	t.Helper()
	c := must[*keepalived.Config](t)(keepalived.Read(path, keepalived.Options{}))
	return effect.Keepalived(c, interfaces)
}

// compare compares what keepalived has done with what was computed.
func (s *side) compare(ctx context.Context, computed *effect.Effect) {
	s.t.Helper()
	text := strings.Join(computed.Adverts, "\n")
	var other string
	if err := lab.Await(ctx, func() bool { // until after the first results of tracks
		other = ""
		for id, advert := range s.adverts() {
			if payload := advert[strings.LastIndexByte(advert, ' ')+1:]; !strings.Contains(text, payload) {
				other += fmt.Sprintf("%s: %s\n", id, payload)
			}
		}
		return other == ""
	}); err != nil {
		s.t.Errorf("keepalived sent\n%s; computed\n%s", other, text)
	}
	if len(computed.Adverts) != len(s.adverts()) {
		s.t.Errorf("%d routers advertise, %d were computed", len(s.adverts()), len(computed.Adverts))
	}
	var want, got []string
	for _, a := range computed.Addresses {
		words := strings.Fields(a)
		want = append(want, words[0]+" "+words[2])
	}
	own := []string{"10.9.0.1/16", "fd09::1/64", "10.8.0.1/16", "127.0.0.1/8", "::1/128"}
	for _, line := range strings.Split(s.addresses(), "\n") {
		if words := strings.Fields(line); !slices.Contains(own, words[2]) && !strings.HasPrefix(words[2], "fe80:") {
			got = append(got, words[2]+" "+words[0])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		s.t.Errorf("only keepalived's:\n%s\nonly computed:\n%s", without(strings.Join(got, "\n"), strings.Join(want, "\n")), without(strings.Join(want, "\n"), strings.Join(got, "\n")))
		s.t.Logf("addresses\n%s", s.addresses())
	}
}
