package healthcheck

import (
	"crypto/tls"
	"errors"
	"net/netip"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// TLS has the TLS parameters of a check.
type TLS struct {
	SkipVerify bool   `hcl:"skip_verify,optional" default:"false" json:"skip_verify,omitempty"`                // accept any certificate
	ServerName string `hcl:"server_name,optional" unset:"host, else the address" json:"server_name,omitempty"` // SNI and name to verify
	CAFile     File   `hcl:"ca_file,optional" unset:"the system's authorities" json:"ca_file,omitempty"`       // PEM
	CertFile   File   `hcl:"cert_file,optional" unset:"none" json:"cert_file,omitempty"`                       // PEM, of this client
	KeyFile    File   `hcl:"key_file,optional" unset:"cert_file" json:"key_file,omitempty"`                    // PEM

	Authorities *Authorities `json:"-"`                  // the contents of CAFile, since a check does not read files
	Identity    secret.Text  `json:"identity,omitempty"` // the contents of CertFile and KeyFile
}

// File is the path of a file, relative to the configuration's directory.
type File string

// AuthoritiesFile returns the name of the file of authorities, or "" if none is needed.
func (t *TLS) AuthoritiesFile() string {
	if t == nil || t.SkipVerify {
		return ""
	}
	return string(t.CAFile)
}

// IdentityFiles returns the names of the files with the client's certificate and key, or "" if it has none.
func (t *TLS) IdentityFiles() (cert, key string) {
	if t == nil || t.CertFile == "" {
		return "", ""
	}
	if t.KeyFile == "" {
		return string(t.CertFile), string(t.CertFile)
	}
	return string(t.CertFile), string(t.KeyFile)
}

// Identify sets the client's certificate and key.
func (t *TLS) Identify(cert, key string) error {
	if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
		return err
	}
	t.Identity = secret.Text(cert + "\n" + key)
	return nil
}

// certificates returns the client's certificate, if it has one.
func (t *TLS) certificates() ([]tls.Certificate, error) {
	if t.CertFile == "" {
		return nil, nil
	}
	if t.Identity == "" {
		return nil, errors.New(string(t.CertFile) + " has not been read")
	}
	both := []byte(t.Identity.Reveal())
	cert, err := tls.X509KeyPair(both, both)
	return []tls.Certificate{cert}, err
}

// redacted returns a copy without the key.
func (t *TLS) redacted() *TLS {
	if t == nil || t.Identity == "" {
		return t
	}
	shown := *t
	shown.Identity = secret.Hidden
	return &shown
}

func (t *TLS) appendIdentity(b []byte) []byte {
	if t == nil {
		return appendInts(b, 0)
	}
	verify := 1
	if t.SkipVerify {
		verify = 2
	}
	b = appendInts(b, verify)
	for _, text := range []string{t.ServerName, string(t.CAFile), string(t.CertFile), string(t.KeyFile), t.Identity.Reveal()} {
		b = appendText(b, text)
	}
	return b
}

func (t *TLS) faults() []Fault {
	var faults []Fault
	if t == nil {
		return nil
	}
	if t.KeyFile != "" && t.CertFile == "" {
		faults = append(faults, fault("tls.key_file", "A key requires a certificate. Write cert_file."))
	}
	_, err := netip.ParseAddr(t.ServerName)
	if t.ServerName != "" && !isHostName(t.ServerName) && err != nil {
		faults = append(faults, fault("tls.server_name", "%s is not a name that a certificate can have. Write a host name or an address, without a port; "+
			"write international names in their ASCII form, as \"xn--bcher-kva.example\".", quote(t.ServerName)))
	}
	return faults
}
