package config

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/hashicorp/hcl/v2"
)

// foreignFormat is another program's configuration format, recognized by a line that is not HCL.
type foreignFormat struct {
	name   string
	line   *regexp.Regexp // matched against the whole file
	remedy string
}

// IpvsadmRules is the name that Foreign returns for ipvsadm rules.
const IpvsadmRules = "a file of ipvsadm rules"

// foreignFormats are formats that users may pass by mistake. Keywords in HCL syntax, with quotes or an equals sign, are
// not included: for them, the error names the equivalent of this language.
var foreignFormats = []foreignFormat{
	{
		"a keepalived configuration",
		regexp.MustCompile(`(?m)^[ \t]*(global_defs|static_ipaddress|static_routes|static_rules|` +
			`(vrrp_instance|vrrp_script|vrrp_sync_group|vrrp_track_process|vrrp_track_file|virtual_server_group)[ \t]+[^\s"={}]+|` +
			`virtual_server[ \t]+([0-9a-fA-F.:]+[ \t]+[0-9]+|fwmark[ \t]+[0-9]+|group[ \t]+[^\s"={}]+))[ \t]*(\{|$|[!#])`),
		"Import it: lvs-ha import keepalived FILE > lvs-ha.hcl",
	},
	{
		"an ldirectord configuration",
		regexp.MustCompile(`(?m)^[ \t]*(virtual6?[ \t]*=[ \t]*[0-9\[][^\s"]*|real6?[ \t]*=[ \t]*\S+[ \t]+(gate|masq|ipip)\b)`),
		"Import it: lvs-ha import ldirectord FILE > lvs-ha.hcl",
	},
	{
		IpvsadmRules,
		regexp.MustCompile(`(?m)^[ \t]*(\S*ipvsadm[ \t]+)?(-A|--add-service|-a|--add-server)[ \t]+(-[tufTUF]|--(tcp|udp|sctp|fwmark)-service)\b`),
		"Import it: lvs-ha import ipvsadm FILE > lvs-ha.hcl",
	},
}

// Foreign identifies a text in another program's format: the program's name, the line that shows it, and what to do.
// name is "" if the format is not recognized.
func Foreign(text []byte) (name string, line int, remedy string) {
	at := len(text)
	for _, format := range foreignFormats {
		if found := format.line.FindIndex(text[:min(len(text), maxForeign)]); found != nil && found[0] < at {
			at, name, remedy = found[0], format.name, format.remedy
		}
	}
	if name == "" {
		return "", 0, ""
	}
	return name, 1 + bytes.Count(text[:at], []byte("\n")), remedy
}

// maxForeign limits the part of a file that is searched.
const maxForeign = 256 << 10

// explainForeign returns the single error for another program's file.
func explainForeign(filename string, text []byte) hcl.Diagnostics {
	name, line, remedy := Foreign(text)
	if name == "" {
		return nil
	}
	start := 0
	for range line - 1 {
		start += bytes.IndexByte(text[start:], '\n') + 1
	}
	end := len(text)
	if i := bytes.IndexByte(text[start:], '\n'); i >= 0 {
		end = start + i
	}
	at := hcl.Range{
		Filename: filename,
		Start:    hcl.Pos{Line: line, Column: 1, Byte: start}, End: hcl.Pos{Line: line, Column: 1 + end - start, Byte: end},
	}
	return hcl.Diagnostics{problem(at, "Not an lvs-ha configuration", "%s", fmt.Sprintf("This is %s. %s", name, remedy))}
}
