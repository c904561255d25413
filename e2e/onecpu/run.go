package onecpu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

const (
	masterPriority = 200
	backupPriority = 100
)

var (
	backupPrefix   = netip.MustParsePrefix("10.77.0.1/24")
	masterPrefix   = netip.MustParsePrefix("10.77.0.2/24")
	strangerPrefix = netip.MustParsePrefix("10.77.0.66/24")
)

// Run measures one cell for the given duration, with the lvs-ha binary at a path.
func Run(ctx context.Context, binary string, c Cell, during time.Duration) (f Figures, err error) {
	l, err := lab.New("onecpu")
	if err != nil {
		return Figures{Cell: c}, err
	}
	dir, err := os.MkdirTemp("", "onecpu-")
	if err != nil {
		return Figures{Cell: c}, errors.Join(err, l.Close())
	}
	defer os.RemoveAll(dir)
	defer func() { err = errors.Join(err, l.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{lab: l, dir: dir, cell: c, binary: binary, pace: newPace(c.Interval)}
	f, err = r.measure(ctx, during)
	f.Cell = c
	if err != nil {
		err = fmt.Errorf("%s: %w", c, err)
	}
	for _, d := range r.directors {
		f.Warnings += fmt.Sprintf("the last warnings of the %s:\n%s\n", d.name, d.log.end())
	}
	return f, err
}

type run struct {
	lab       *lab.Lab
	dir       string // for files of namespaces
	bridge    *lab.Bridge
	cell      Cell
	binary    string
	pace      *pace
	directors []*director
}

func (r *run) measure(ctx context.Context, during time.Duration) (f Figures, err error) {
	if r.bridge, err = r.lab.Bridge("lan"); err != nil {
		return f, err
	}
	stranger, err := r.lab.Host("stranger", lab.NIC{Name: "eth0", Bridge: r.bridge, Addresses: []netip.Prefix{strangerPrefix}})
	if err != nil {
		return f, err
	}
	capture, err := r.bridge.Follow(lab.AdvertsOf(backupPrefix.Addr(), masterPrefix.Addr()), func(frame lab.Frame) {
		if a, ok := parseAdvert(frame); ok {
			r.pace.heard(a)
		}
	})
	if err != nil {
		return f, err
	}
	defer capture.Stop()
	if err := r.start(ctx); err != nil {
		return f, err
	}
	load, err := r.load(ctx, stranger)
	if err != nil {
		return f, err
	}
	if _, err := capture.Missed(); err != nil {
		return f, err
	}
	before, err := r.processes(ctx)
	if err != nil {
		return f, err
	}
	dropped, err := r.dropped()
	if err != nil {
		return f, err
	}
	r.pace.begin()
	began := time.Now()
	if err := pause(ctx, during); err != nil {
		return f, err
	}
	now := time.Now()
	r.pace.end(now)
	f = r.pace.figures()
	f.Took = now.Sub(began)
	if f.Missed, err = capture.Missed(); err != nil {
		return f, err
	}
	if f.Garbage, err = load(); err != nil {
		return f, err
	}
	if f.Dropped, err = r.dropped(); err != nil {
		return f, err
	}
	f.Dropped -= dropped
	after, err := r.processes(ctx)
	if err != nil {
		return f, err
	}
	f.Killed = r.killed(before, after)
	return f, nil
}

// start starts the master, then the backup, and waits until both are idle.
func (r *run) start(ctx context.Context) error {
	build := r.inNamespace
	if r.cell.Place == Machines {
		build = r.onMachine
	}
	for cpu, who := range []struct {
		name     string
		prefix   netip.Prefix
		priority int
	}{{"backup", backupPrefix, backupPriority}, {"master", masterPrefix, masterPriority}} {
		d, err := build(ctx, who.name, who.prefix, cpu)
		if err != nil {
			return err
		}
		d.address, d.priority = who.prefix.Addr(), who.priority
		r.directors = append(r.directors, d)
		err = d.watchStalls(ctx, func(s lab.Sight) {
			if s.Kind == "stall" {
				r.pace.stalled(d.address, span{s.At.Add(-s.Length(0)), s.At})
			}
		})
		if err != nil {
			return err
		}
	}
	backup, master := r.directors[0], r.directors[1]
	if err := r.startDirector(ctx, master); err != nil {
		return err
	}
	upCtx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the master does not advertise all instances"))
	defer cancel()
	if err := lab.Await(upCtx, func() bool { return r.pace.routers(master.address) == r.cell.Instances }); err != nil {
		return err
	}
	if err := r.startDirector(ctx, backup); err != nil {
		return err
	}
	return pause(ctx, 4*time.Second+4*r.cell.Interval)
}

func (r *run) startDirector(ctx context.Context, d *director) error {
	const path = "/run/onecpu.hcl"
	if err := d.write(ctx, path, config(r.cell, d.priority)); err != nil {
		return err
	}
	return d.spawn(ctx, &d.log, r.binary, "run", "--runtime-dir", "/run/onecpu", "-c", path)
}

func config(c Cell, priority int) []byte {
	var b bytes.Buffer
	for i := 1; i <= c.Instances; i++ {
		fmt.Fprintf(&b, "vrrp \"v%d\" {\n  interface = \"eth0\"\n  virtual_router_id = %d\n  priority = %d\n  advertise_interval = \"%v\"\n  addresses = [\"10.77.1.%d/32\"]\n}\n",
			i, i, priority, c.Interval, i)
	}
	return b.Bytes()
}

// load starts the load on the directors. The returned function ends it and returns the number of packets sent.
func (r *run) load(ctx context.Context, stranger *lab.Node) (end func() (int, error), err error) {
	switch r.cell.Load {
	case Hog:
		for _, d := range r.directors {
			if err := d.spawn(ctx, nil, "sh", "-c", "while :; do :; done"); err != nil {
				return nil, err
			}
		}
	case Garbage:
		packets := lab.Garbage(strangerPrefix.Addr(), 1, netip.MustParseAddr("10.77.1.1"), r.cell.Interval)
		flood, err := stranger.Flood(ctx, "eth0", GarbageRate, packets)
		if err != nil {
			return nil, err
		}
		return flood.Stop, nil
	}
	return func() (int, error) { return 0, nil }, nil
}

// processes returns the process IDs of each director.
func (r *run) processes(ctx context.Context) (all [][]string, err error) {
	for _, d := range r.directors {
		ids, err := d.processes(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, ids)
	}
	return all, nil
}

// dropped returns the number of frames dropped by the directors' cards.
func (r *run) dropped() (all int, err error) {
	for _, d := range r.directors {
		n, err := r.lab.Dropped(d.name, "eth0")
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

// killed counts the workers that exited: those restarted according to the log, and at least those that no longer exist.
func (r *run) killed(before, after [][]string) (n int) {
	for i, d := range r.directors {
		gone := 0
		now := map[string]bool{}
		for _, id := range after[i] {
			now[id] = true
		}
		for _, id := range before[i] {
			if !now[id] {
				gone++
			}
		}
		n += max(gone, d.log.restarts())
	}
	return n
}

func parseAdvert(f lab.Frame) (advert, bool) {
	const ip, source, payload = 14, 14 + 12, 14 + 20
	if len(f.Data) < payload+8 || f.Data[ip] != 4<<4|5 || f.Data[ip+9] != vrrp.Protocol {
		return advert{}, false
	}
	return advert{
		at: f.Time, source: netip.AddrFrom4([4]byte(f.Data[source : source+4])),
		vrid: f.Data[payload+1], priority: f.Data[payload+2],
	}, true
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
