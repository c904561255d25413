package config

import (
	"errors"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// maxAuthorities bounds all files of certificate authorities together. The authorities of a Linux distribution have
// some 220 KB.
const maxAuthorities = 8 << 20

// readAuthorities reads the files that health checks name, each once. Their contents travel with the configuration, so
// that nothing waits for a file system when it is put in force.
func readAuthorities(f *file, s *source) (map[string]string, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	contents, faults := map[string]string{}, map[string]error{}
	left := maxAuthorities
	eachCheck(f, func(b *healthCheckBlock) {
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
	if len(contents) == 0 {
		contents = nil
	}
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
