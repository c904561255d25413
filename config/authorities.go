package config

import (
	"errors"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// maxAuthorities limits the total size of all certificate authority files. A Linux distribution's authorities have about
// 220 KB.
const maxAuthorities = 8 << 20

// readAuthorities reads the files named by health checks, each once. Their contents are part of the configuration, so
// that applying it does not access file systems.
func readAuthorities(f *file, s *source) (map[string]string, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	contents, faults := map[string]string{}, map[string]error{}
	left := maxAuthorities
	eachCheck(f, &diags, func(b *healthCheckBlock) {
		t, ok := b.Check.(healthcheck.Truster)
		if !ok {
			return
		}
		name, setting := t.AuthoritiesFile()
		if name == "" {
			return
		}
		if _, done := contents[name]; !done && faults[name] == nil {
			contents[name], faults[name] = readAuthority(s.disk, name, left)
			left -= len(contents[name])
		}
		if err := faults[name]; err != nil {
			at, _ := b.mirror().find(b.decoded, setting, 0)
			diags = append(diags, problem(at, "Cannot use ca_file",
				"%s. Write the path of a PEM file with the certificates of the authorities that sign the servers' certificates.", err))
		}
	})
	return contents, diags
}

func readAuthority(d *disk, name string, most int) (string, error) {
	text, err := d.read(name, most)
	switch {
	case err != nil:
		return "", err
	case len(text) > most:
		return "", errors.New(name + ": the CA files together are larger than 8 MiB")
	}
	if _, err := healthcheck.ParseAuthorities(string(text)); err != nil {
		return "", errors.New(name + ": " + err.Error())
	}
	return string(text), nil
}
