package config

import (
	"errors"
	"fmt"

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
		secured, ok := b.Check.(healthcheck.Secured)
		if !ok {
			return
		}
		diags = append(diags, readIdentity(b, secured.Security(), s.disk)...)
		name := secured.Security().AuthoritiesFile()
		if name == "" {
			return
		}
		if _, done := contents[name]; !done && faults[name] == nil {
			contents[name], faults[name] = readAuthority(s.disk, name, left)
			left -= len(contents[name])
		}
		if err := faults[name]; err != nil {
			at, _ := b.mirror().find(b.decoded, "tls.ca_file", 0)
			diags = append(diags, problem(at, "Cannot use ca_file",
				"%s. Write the path of a PEM file with the certificates of the authorities that sign the servers' certificates.", err))
		}
	})
	return contents, diags
}

// maxIdentity limits a certificate or a key, in bytes.
const maxIdentity = 64 << 10

// readIdentity reads the certificate and the key of a check's client.
func readIdentity(b *healthCheckBlock, t *healthcheck.TLS, d *disk) hcl.Diagnostics {
	cert, key := t.IdentityFiles()
	if cert == "" {
		return nil
	}
	fail := func(setting string, err error) hcl.Diagnostics {
		at, _ := b.mirror().find(b.decoded, "tls."+setting, 0)
		return hcl.Diagnostics{problem(at, "Cannot use "+setting, "%s. Write the path of a PEM file with the client's certificate, and of one with its key if that is in another.", err)}
	}
	certificate, err := d.read(cert, maxIdentity)
	if err != nil {
		return fail("cert_file", err)
	}
	private := certificate
	if key != cert {
		if private, err = d.read(key, maxIdentity); err != nil {
			return fail("key_file", err)
		}
	}
	if err := t.Identify(string(certificate), string(private)); err != nil {
		return fail("cert_file", fmt.Errorf("%s: %w", cert, err))
	}
	return nil
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
