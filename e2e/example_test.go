package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestKernelExamples runs the unmodified examples for two directors, in namespaces of one kernel with IPVS.
func TestKernelExamples(t *testing.T) {
	lab.Need(t, lab.Kernel)
	for _, layout := range []scene.Layout{scene.NAT, scene.DR, scene.TUN} {
		t.Run(string(layout), func(t *testing.T) {
			s := begin(t, layout)
			url := "http://" + scene.VIP + "/"
			servers := func(want int) {
				t.Helper()
				counts, err := s.Client.Spread(t.Context(), 12, url)
				if err != nil || len(counts) != want {
					t.Errorf("answers came from %v (%v), want %d servers", counts, err, want)
				}
			}
			servers(len(s.Servers))

			s.Servers[0].SetHealthy(false)
			for _, d := range s.Directors {
				s.await(d, "rid of the sick server", func(st api.Status) bool { return len(scene.Pool(st)) == len(s.Servers)-1 })
			}
			servers(len(s.Servers) - 1)

			s.shell(s.active(), "ipvsadm -C")
			s.await(s.active(), "whole again after ipvsadm -C", func(st api.Status) bool { return len(scene.Pool(st)) == len(s.Servers)-1 })
			s.Servers[0].SetHealthy(true)
			s.await(s.active(), "using all servers", func(st api.Status) bool { return len(scene.Pool(st)) == len(s.Servers) })
			servers(len(s.Servers))

			if out, err := s.active().Command(t.Context(), "ipvsadm", "-D", "-t", scene.VIP+":80"); err == nil || !strings.Contains(err.Error(), `belongs to virtual_service "http"`) {
				t.Errorf("lvs-ha ipvsadm -D of the daemon's own service said %q, %v", out, err)
			}
			if out, err := s.active().Command(t.Context(), "ipvsadm", "-E", "-t", scene.VIP+":80", "-s", "wlc", "--force"); err != nil {
				t.Errorf("with --force: %q, %v", out, err)
			}
			eventually(t, 20*time.Second, "the configured scheduler again", func() bool {
				return strings.Contains(s.shell(s.active(), "ipvsadm -Sn"), "-s rr")
			})
			binary, err := lab.Binary()
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := s.shell(s.active(), "ln -sf "+binary+" /run/ipvsadm; /run/ipvsadm -Sn"), s.shell(s.active(), "ipvsadm -Sn")
			if ours != theirs {
				t.Errorf("under the name ipvsadm it says\n%s\nwhere ipvsadm says\n%s", ours, theirs)
			}

			if out, err := s.active().Command(t.Context(), "reload"); err != nil || strings.TrimSpace(out) != "reloaded" {
				t.Errorf("reload said %q, %v", out, err)
			}
			if err := s.active().Stop(t.Context()); err != nil {
				t.Error(err)
			}
			s.await(s.standby(), "master", scene.IsMaster)
			servers(len(s.Servers))
		})
	}
}
