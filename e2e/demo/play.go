package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// The downloads last from before the power failure until after the return.
const (
	downloads    = 20
	downloadRate = 20_000
	downloadSize = 25 * downloadRate

	settle = 5 * time.Second // for a step after which a change should be visible soon
)

// demo is the scenario with its scene.
type demo struct {
	*scene.Scene
	narrator *narrator
	held     *lab.Downloads
}

func (d *demo) active() *scene.Director  { return d.Directors[0] }
func (d *demo) standby() *scene.Director { return d.Directors[1] }

// play runs the steps in order and stops at the first failure.
func (d *demo) play(ctx context.Context) error {
	for _, s := range []struct {
		title string
		do    func(context.Context) (string, error)
	}{
		{"switching on lb1 and lb2", d.bringUp},
		{"30 requests of the client to http://" + scene.VIP, d.balance},
		{"web2 dies", d.serverDies},
		{"web2 comes back", d.serverReturns},
		{fmt.Sprintf("%d slow downloads begin", downloads), d.hold},
		{"lb1 loses power", d.powerFailure},
		{"lb1 is switched on again", d.directorReturns},
		{"the downloads end", d.finish},
	} {
		if err := d.narrator.step(ctx, s.title, s.do); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) bringUp(ctx context.Context) (string, error) {
	if err := d.Start(ctx); err != nil {
		return "", err
	}
	if err := d.Ready(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("lb1 is %s; it is master, lb2 is backup, both have web1, web2 and web3 in their tables", d.active().Describe()), nil
}

func (d *demo) balance(ctx context.Context) (string, error) {
	counts, err := d.Client.Spread(ctx, 30, "http://"+scene.VIP+"/")
	if err != nil {
		return "", err
	}
	if len(counts) != len(d.Servers) {
		return "", fmt.Errorf("not every server has answered: %s", spread(counts))
	}
	return "answered by " + spread(counts), nil
}

func (d *demo) serverDies(ctx context.Context) (string, error) {
	return d.poolChanges(ctx, d.Servers[1].Stop, len(d.Servers)-1, "removed from both tables")
}

func (d *demo) serverReturns(ctx context.Context) (string, error) {
	return d.poolChanges(ctx, d.Servers[1].Start, len(d.Servers), "back in both tables")
}

// poolChanges changes a server's state and waits until both directors have a number of servers in their tables.
func (d *demo) poolChanges(ctx context.Context, do func() error, servers int, what string) (string, error) {
	began := time.Now()
	if err := do(); err != nil {
		return "", err
	}
	waitCtx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for _, director := range d.Directors {
		if _, err := director.Await(waitCtx, fmt.Sprintf("using %d servers", servers), func(s api.Status) bool { return len(scene.Pool(s)) == servers }); err != nil {
			return "", err
		}
	}
	took := time.Since(began)
	counts, err := d.Client.Spread(ctx, 6*servers, "http://"+scene.VIP+"/")
	if err == nil && len(counts) != servers {
		err = fmt.Errorf("want answers from %d servers, got %s", servers, spread(counts))
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s after %.1f s; %d requests were answered by %s", what, took.Seconds(), 6*servers, spread(counts)), nil
}

func (d *demo) hold(ctx context.Context) (string, error) {
	d.held = d.Client.Download(ctx, downloads, "http://"+scene.VIP, downloadSize, downloadRate)
	<-d.held.Started()
	waitCtx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		known, err := d.standby().Connections(waitCtx)
		if err != nil {
			return "", fmt.Errorf("the standby does not know the connections in time: %w", err)
		}
		missing := 0
		for _, one := range d.held.State() {
			if one.Err != nil {
				return "", one.Err
			}
			if !known[one.Local] {
				missing++
			}
		}
		if missing == 0 {
			return fmt.Sprintf("all %d connections stand in the standby's table too", downloads), nil
		}
	}
}

func (d *demo) powerFailure(ctx context.Context) (string, error) {
	probe, err := d.Client.Probe(ctx, lab.ProbeConfig{
		Network: "tcp", Address: scene.VIP + ":80", Every: 10 * time.Millisecond, Deadline: 100 * time.Millisecond,
	})
	if err != nil {
		return "", err
	}
	defer probe.Stop()
	if err := d.active().Kill(); err != nil {
		return "", err
	}
	waitCtx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	if _, err := d.standby().Await(waitCtx, "master", scene.IsMaster); err != nil {
		return "", err
	}
	r := probe.Stop()
	running := 0
	for _, one := range d.held.State() {
		if one.Err != nil {
			return "", fmt.Errorf("a download broke: %w", one.Err)
		}
		if !one.Done {
			running++
		}
	}
	return fmt.Sprintf("lb2 is master; new connections failed for %d ms; %d of %d downloads go on",
		r.Longest.Milliseconds(), running, downloads), nil
}

func (d *demo) directorReturns(ctx context.Context) (string, error) {
	began := time.Now()
	if err := d.active().PowerOn(ctx); err != nil {
		return "", err
	}
	if _, err := d.active().Await(ctx, "back", scene.IsBackup); err != nil {
		return "", err
	}
	d.narrator.say("  lb1 is back as backup and learns the connections before it takes over")
	if _, err := d.active().Await(ctx, "master again", scene.IsMaster); err != nil {
		return "", err
	}
	if _, err := d.standby().Await(ctx, "backup again", scene.IsBackup); err != nil {
		return "", err
	}
	return fmt.Sprintf("lb1 is master again after %.1f s, lb2 is backup", time.Since(began).Seconds()), nil
}

func (d *demo) finish(context.Context) (string, error) {
	var gap time.Duration
	for _, one := range d.held.Wait() {
		if one.Err != nil {
			return "", fmt.Errorf("a download broke: %w", one.Err)
		}
		gap = max(gap, one.Gap)
	}
	return fmt.Sprintf("all %d arrived with every byte right, over both changes; the longest pause was %d ms", downloads, gap.Milliseconds()), nil
}

// spread lists the answers by server, sorted by name.
func spread(counts map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d×", name, counts[name]))
	}
	return strings.Join(list, ", ")
}
