package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// scrapes are the results of requests one after another, each on a connection of its own.
type scrapes struct {
	complete int
	refused  []error // connections that were not accepted
	cut      []error // requests that the server began to read, or answer, before it ended
}

// scrape requests the metrics again and again. stop returns the results.
func (p *place) scrape(network, address string) (stop func() scrapes) {
	var result scrapes
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := p.host.DialContext(ctx, network, address)
		if err != nil {
			result.refused = append(result.refused, err)
		}
		return conn, err
	}}}
	once := func() error {
		resp, err := client.Get("http://localhost/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	done := make(chan struct{})
	var scraping sync.WaitGroup
	scraping.Go(func() {
		for {
			if err := once(); err == nil {
				result.complete++
			} else {
				result.cut = append(result.cut, err)
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-done:
				return
			}
		}
	})
	return func() scrapes {
		close(done)
		scraping.Wait()
		return result
	}
}

// TestHostScrapesWhileTheDirectorIsReplaced scrapes through the Unix socket and an address while the director is killed and
// upgraded. No connection is refused, and each end of a director can cut the request that it was answering.
func TestHostScrapesWhileTheDirectorIsReplaced(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	const listening = gateway + "api {\n  listen \"127.0.0.1:9180\" {}\n}\n"
	p.configure(listening)
	running, err := exec.LookPath("lvs-ha")
	if err != nil {
		t.Fatal(err)
	}
	d := p.startUpgradable(running)
	d.awaitStatus("master", isMaster)
	eventually(t, "the address answers", func() bool { return p.run("curl", "-sf", "http://127.0.0.1:9180/v1/version").status == 0 })
	stops := map[string]func() scrapes{"unix": p.scrape("unix", p.path("run/api.sock")), "tcp": p.scrape("tcp", "127.0.0.1:9180")}

	ends := 0
	for range 3 {
		before := d.awaitStatus("master", isMaster).Started
		if err := syscall.Kill(d.worker("director"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		d.awaitStatus("master, by the next director", func(s api.Status) bool { return isMaster(s) && s.Started.After(before) })
		ends++
	}
	install(t, running, d.bin)
	d.wantAnswer(d.upgrade(), 0, "runs")
	ends++
	p.configure(listening + "director { repair_interval = \"7s\" }\n")
	p.wantAnswer(p.asked("reload"), 0)
	for name, stop := range stops {
		got := stop()
		if len(got.refused) > 0 || got.complete < 10 || len(got.cut) > ends {
			t.Errorf("%s: %d complete, refused: %v, cut: %v", name, got.complete, got.refused, got.cut)
		}
	}

	p.configure(gateway)
	p.wantAnswer(p.asked("reload"), 0)
	eventually(t, "an address that is no longer configured is closed", func() bool {
		return p.run("curl", "-s", "http://127.0.0.1:9180/v1/version").status == 7 // EXITS of curl(1): could not connect
	})
	d.stop()
	p.wantAnswer(p.asked("status"), statusNotRunning, "lvs-ha is not running")
}
