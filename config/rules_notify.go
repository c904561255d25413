package config

import (
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/net/http/httpguts"
)

// maxFIFOPath is PATH_MAX without its NUL (include/uapi/linux/limits.h).
const maxFIFOPath = 4095

// notifyNames refuses receivers of the same name, and names that are awkward in messages.
func notifyNames(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	seen := map[string]hcl.Range{}
	check := func(kind string, name *attr[string], most int) {
		if name.value == "" || len(name.value) > most || strings.ContainsFunc(name.value, isNoNameRune) {
			diags = append(diags, problem(name.at(), "Invalid name",
				"The name of a %s block must have 1 to %d bytes, without spaces, quotes or control characters.", kind, most))
			return
		}
		key := kind + " " + name.value
		if first, duplicate := seen[key]; duplicate {
			diags = append(diags, problem(name.at(), "Duplicate name", "There is already a %s %q at %s. Give this one another name.", kind, name.value, where(first)))
			return
		}
		seen[key] = name.at()
	}
	for _, block := range f.NotifyFIFOs {
		check("notify_fifo", &block.Path, maxFIFOPath)
	}
	for _, block := range f.NotifyWebhooks {
		check("notify_webhook", &block.Name, 64)
	}
	for _, block := range f.NotifyEmails {
		check("notify_email", &block.Name, 64)
	}
	return diags
}

// notifyCommands refuses commands that cannot be run on any host.
func notifyCommands(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	look := func(b *notifyBlock) {
		if b == nil {
			return
		}
		any := false
		for _, name := range []string{"master", "backup", "fault", "stop", "all"} {
			a := b.commands()[name]
			any = any || a.isSet() || !a.isOK()
			if a.isSet() {
				diags = append(diags, commandProblem(name, a, b.Shell.value)...)
			}
		}
		if !any {
			diags = append(diags, problem(b.At, "Nothing to run",
				"A notify block needs at least one of master, backup, fault, stop and all. Write all = [\"/usr/local/sbin/notify\"]."))
		}
	}
	for _, v := range f.VRRP {
		look(v.Notify)
	}
	for _, g := range f.SyncGroups {
		look(g.Notify)
	}
	for b := range each(f.Services, &diags) {
		diags = append(diags, b.Notify.problems()...)
		for server := range each(b.servers(), &diags) {
			diags = append(diags, server.Notify.problems()...)
		}
	}
	return diags
}

// problems refuses commands of a service or server that cannot be run on any host.
func (b *poolNotifyBlock) problems() hcl.Diagnostics {
	if b == nil {
		return nil
	}
	var diags hcl.Diagnostics
	any := false
	for _, one := range []struct {
		name    string
		command *attr[[]item[string]]
	}{{"up", &b.Up}, {"down", &b.Down}, {"all", &b.All}} {
		any = any || one.command.isSet() || !one.command.isOK()
		if one.command.isSet() {
			diags = append(diags, commandProblem(one.name, one.command, b.Shell.value)...)
		}
	}
	if !any {
		diags = append(diags, problem(b.At, "Nothing to run", "A notify block needs at least one of up, down and all. Write all = [\"/usr/local/sbin/notify\"]."))
	}
	return diags
}

// notifyReceivers refuses receivers that nothing can be sent to.
func notifyReceivers(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	refuse := func(at hcl.Range, summary, detail string, args ...any) {
		diags = append(diags, problem(at, summary, detail, args...))
	}
	for _, b := range f.NotifyFIFOs {
		if name := b.Path.value; !path.IsAbs(name) || path.Clean(name) != name {
			refuse(b.Path.at(), "Invalid path", "%q is not an absolute path. Write one such as \"/run/lvs-ha/notify.fifo\".", name)
		}
	}
	for _, b := range f.NotifyWebhooks {
		if b.URL.isSet() {
			u, err := url.Parse(b.URL.value)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				refuse(b.URL.at(), "Invalid url", "Write an http or https URL, such as \"https://alerts.example.com/vrrp\".")
			} else if u.Scheme == "http" && b.CAFile.isSet() {
				refuse(b.CAFile.at(), "Invalid ca_file", "An http URL has no certificate. Write an https URL, or remove ca_file.")
			}
		}
		for name, value := range b.Headers.value {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
				refuse(b.Headers.at(), "Invalid headers", "%q cannot be set: its name or its value is not allowed.", name)
			}
		}
	}
	for _, b := range f.NotifyEmails {
		diags = append(diags, emailProblems(b)...)
	}
	return diags
}

// ownHeaders are set by the client itself.
var ownHeaders = []string{"Content-Length", "Content-Type", "Host", "Transfer-Encoding", "Connection"}

func emailProblems(b *notifyEmailBlock) hcl.Diagnostics {
	var diags hcl.Diagnostics
	refuse := func(at hcl.Range, summary, detail string, args ...any) {
		diags = append(diags, problem(at, summary, detail, args...))
	}
	if b.SMTP.isSet() {
		host, port, err := net.SplitHostPort(b.SMTP.value)
		if err != nil || host == "" || !isPort(port) || strings.ContainsAny(host, " \r\n\t") {
			refuse(b.SMTP.at(), "Invalid smtp", "%q is not a host with a port. Write one such as \"mail.example.com:587\".", b.SMTP.value)
		}
	}
	address := func(a item[string], name string) {
		if _, err := mail.ParseAddress(a.value); err != nil || strings.ContainsAny(a.value, "\r\n") {
			refuse(a.at, "Invalid "+name, "%q is not a mail address. Write one such as \"ops@example.com\".", a.value)
		}
	}
	if b.From.isSet() {
		address(item[string]{b.From.value, b.From.at()}, "from")
	}
	if b.To.isSet() && len(b.To.value) == 0 {
		refuse(b.To.at(), "Invalid to", "The list is empty. Write [\"ops@example.com\"].")
	}
	for _, a := range b.To.value {
		address(a, "to")
	}
	switch {
	case b.Password.isSet() && b.PasswordFile.isSet():
		refuse(b.PasswordFile.at(), "Two passwords", "Write password or password_file, not both.")
	case b.Username.isSet() != (b.Password.isSet() || b.PasswordFile.isSet()) && b.Username.isOK() && b.Password.isOK() && b.PasswordFile.isOK():
		refuse(b.At, "Incomplete login", "A login needs username, and password or password_file.")
	case b.Username.isSet() && b.TLS.value == TLSNone:
		refuse(b.TLS.at(), "Login without encryption", "The password would cross the network in plain text. Write tls = \"starttls\" or \"tls\".")
	}
	if b.TLS.value == TLSNone && b.CAFile.isSet() {
		refuse(b.CAFile.at(), "Invalid ca_file", "Without TLS there is no certificate. Remove ca_file, or write tls = \"starttls\".")
	}
	return diags
}

// readNotifyFiles reads the files that receivers name, like readAuthorities.
func readNotifyFiles(f *file, s *source, authorities map[string]string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	left := maxAuthorities
	for _, text := range authorities {
		left -= len(text)
	}
	trust := func(a *attr[string]) (name string) {
		if !a.isSet() {
			return ""
		}
		name = relativeTo(s.directory, a.value)
		if _, done := authorities[name]; done {
			return name
		}
		text, err := readAuthority(s.disk, name, left)
		if err != nil {
			diags = append(diags, problem(a.at(), "Cannot use ca_file",
				"%s. Write the path of a PEM file with the certificates of the authorities that sign the server's certificate.", err))
			return ""
		}
		authorities[name], left = text, left-len(text)
		return name
	}
	for _, b := range f.NotifyWebhooks {
		b.authorities = trust(&b.CAFile)
	}
	for _, b := range f.NotifyEmails {
		b.authorities = trust(&b.CAFile)
		if !b.PasswordFile.isSet() {
			continue
		}
		name := relativeTo(s.directory, b.PasswordFile.value)
		text, err := s.disk.read(name, maxPassword)
		switch {
		case err != nil:
			diags = append(diags, problem(b.PasswordFile.at(), "Cannot read password_file", "%s.", err))
		case len(text) > maxPassword || strings.TrimSpace(string(text)) == "":
			diags = append(diags, problem(b.PasswordFile.at(), "Cannot use password_file", "%s must have 1 to %d bytes.", name, maxPassword))
		}
		b.filePassword = strings.TrimSpace(string(text))
	}
	return diags
}

const maxPassword = 1024
