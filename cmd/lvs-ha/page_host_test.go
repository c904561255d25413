package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// browse opens a page that is served on a Unix socket in a headless Chromium.
func browse(t *testing.T, socket string) context.Context {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "lvs-ha"})
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.CloseClientConnections)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium-headless-shell"), chromedp.NoSandbox, chromedp.WindowSize(1280, 900),
		chromedp.ModifyCmdFunc(func(c *exec.Cmd) { // others that run meanwhile measure time
			c.Path, c.Args = "/usr/bin/nice", append([]string{"nice", "-n", "10"}, append([]string{c.Path}, c.Args[1:]...)...)
		}))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 10*patience)
	t.Cleanup(cancel)
	do(t, ctx, chromedp.Navigate(server.URL))
	return ctx
}

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// press presses a button on a part of the page that may be replaced between the time when it is found and when it is clicked.
func press(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	script := fmt.Sprintf("(() => { const b = document.querySelector(%q); b?.click(); return b !== null; })()", selector)
	if found, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script)); err != nil || !found {
		t.Fatalf("pressing %s: %t, %v", selector, found, err)
	}
}

// see waits until the page shows a text within an element, and keeps a picture in LVS_HA_SCREENSHOTS if that is set.
func see(t *testing.T, ctx context.Context, selector, text string) {
	t.Helper()
	script := fmt.Sprintf("(document.querySelector(%q)?.innerText || '').includes(%q)", selector, text)
	seen := func() (is bool) {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script))
		return is && err == nil
	}
	awaited, cancel := context.WithTimeout(ctx, 2*patience) // the browser is nice
	defer cancel()
	if err := lab.Await(awaited, seen); err != nil {
		shown, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("%q is not in %s: %v; the page shows\n%s", text, selector, err, shown)
	}
	if dir := os.Getenv("LVS_HA_SCREENSHOTS"); dir != "" {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Error(err)
		}
		name := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return '-'
		}, t.Name()+" "+text)
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			t.Error(err)
		}
	}
}

// TestHostPage watches a pair in a browser: who is master, a failover by the page's button, the event, and that text of the
// configuration is never taken for HTML.
func TestHostPage(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	var daemons []*daemon
	for i, p := range places {
		p.configure(fmt.Sprintf(`node { name = "lb%d" }
vrrp "gateway" {
  interface          = "eth0"
  virtual_router_id  = 10
  advertise_interval = "100ms"
  priority           = %d
  addresses          = ["192.0.2.100/24"]
}

virtual_service "<b>http</b>" {
  address    = "192.0.2.100:80"
  forwarding = "nat"

  health_check "tcp" { interval = "200ms" }
  real_server "192.0.2.1:7" {}
  real_server "192.0.2.2:7" {}
}
`, i+1, 200-50*i))
		daemons = append(daemons, p.start())
		daemons[0].awaitStatus("master", isMaster) // before the other: without IPVS, both have priority 1
	}
	daemons[1].awaitStatus("backup", func(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup })

	first := browse(t, places[0].path("run/api.sock"))
	see(t, first, "#node", "lb1")
	see(t, first, ".card", "MASTER")
	see(t, first, "#services tbody", "<b>http</b>")
	press(t, first, "#services td .link")
	see(t, first, "td.inner", "192.0.2.2:7")
	see(t, first, "td.inner", "connection refused")

	press(t, first, ".card button")
	do(t, first, chromedp.Click("#yes"))
	see(t, first, ".card", "BACKUP")
	see(t, first, "#events", "failover gateway: requested")
	daemons[1].awaitStatus("master", isMaster)
	press(t, first, ".card button.why")
	see(t, first, ".card .story", "operator-failover")
	press(t, first, ".card button")
	do(t, first, chromedp.Click("#yes"))
	see(t, first, "#events", "failover gateway: undone by root")

	press(t, first, "td.actions button")
	do(t, first, chromedp.SendKeys("#reason", "new disk"), chromedp.Click("#yes"))
	see(t, first, "td.inner", "drain by root: new disk")

	do(t, first, chromedp.SendKeys("#filter", "nothing"))
	see(t, first, "#shown", "0 of 1")
	daemons[0].stop()
	see(t, first, "#verdict", "no answer")
}
