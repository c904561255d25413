package main

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestHostPipeAsCertificateFileDoesNotBlock uses a named pipe: opening it would wait for a writer.
func TestHostPipeAsCertificateFileDoesNotBlock(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	before := d.awaitStatus("master", isMaster)
	pipe := p.path("ca.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p.configure(gateway + fmt.Sprintf(`
virtual_service "shop" {
  address    = "192.0.2.100:443"
  health_check "https" {
    tls { ca_file = %q }
  }
  real_server "192.0.2.7" {}
}
`, pipe))
	p.wantAnswer(p.lvsha("validate", "-c", p.path("lvs-ha.hcl")), 1, "Cannot use ca_file", pipe+" is not a regular file")
	p.wantAnswer(p.asked("reload"), 1, "Cannot use ca_file")
	if after := d.awaitStatus("master", isMaster); !after.Started.Equal(before.Started) || after.Config.ReloadError == "" {
		t.Errorf("started %v, before %v; refused: %q", after.Started, before.Started, after.Config.ReloadError)
	}
}
