package healthcheck

import (
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// Kind is a check's protocol.
type Kind string

// The kinds.
const (
	TCP   Kind = "tcp"
	HTTP  Kind = "http"
	HTTPS Kind = "https"
)

// Spec is the configuration of a check: plain values, validated by package config.
type Spec struct {
	Kind     Kind          `json:"kind"`
	Interval time.Duration `json:"interval"`         // from start to start
	Timeout  time.Duration `json:"timeout"`          // of the whole probe, at most Interval
	Rise     int           `json:"rise"`             // good results in a row that bring a server up, at least 1
	Fall     int           `json:"fall"`             // bad results in a row that take it down, at least 1
	Address  netip.Addr    `json:"address,omitzero"` // probed in place of the server's
	Port     uint16        `json:"port,omitempty"`   // probed in place of the server's
	HTTP     *HTTPSpec     `json:"http,omitempty"`   // for HTTP and HTTPS
	TLS      *TLSSpec      `json:"tls,omitempty"`    // for HTTPS
}

// HTTPSpec is what an HTTP or HTTPS check asks and expects.
type HTTPSpec struct {
	Method string        `json:"method"` // GET, HEAD, OPTIONS or POST
	Path   string        `json:"path"`   // with the query
	Host   string        `json:"host,omitempty"`
	Header []Header      `json:"header,omitempty"`
	Status []StatusRange `json:"status"`         // any of them
	Body   string        `json:"body,omitempty"` // a regular expression (RE2) in the first MiB of the body
}

// Header is one request header.
type Header struct {
	Name  string      `json:"name"`
	Value secret.Text `json:"value"`
}

// StatusRange is an inclusive range of HTTP status codes, 100..599.
type StatusRange struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// TLSSpec says whom an HTTPS check trusts.
type TLSSpec struct {
	SkipVerify bool   `json:"skip_verify,omitempty"` // trust any certificate
	ServerName string `json:"server_name,omitempty"` // SNI and name to verify; default: Host, else the address
	CAFile     string `json:"ca_file,omitempty"`     // PEM; default: the system's

	Authorities *Authorities `json:"-"` // in CAFile: a check reads no files
}
