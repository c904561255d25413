package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportKeepalived runs the command as an operator does.
func TestImportKeepalived(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const same = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\n@lb1 priority 150\n@lb2 priority 120\nvirtual_ipaddress { 10.0.0.1/24 }\n}\n"
	good := write("good.conf", same)
	twice := write("twice.conf", same+"vrrp_instance W {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress { 10.0.0.2/24 }\n}\n")
	lossy := write("lossy.conf", same+"bfd_instance b {\nneighbor_ip 10.0.0.9\n}\n")
	certified := write("certified.conf", "SSL {\ncertificate /absent/a.pem\nkey /absent/b.pem\n}\n"+
		"virtual_server 10.0.0.9 443 {\nalpha\nreal_server 10.0.1.2 443 {\nSSL_GET {\nurl {\n}\n}\n}\n}\n")
	foreign := write("foreign.conf", same+"static_ipaddress {\n10.0.0.9/24 dev eth0 home\n}\n")
	script := write("check.sh", "#!/bin/sh\n# systemctl stop nothing\npidof nginx || systemctl --no-block stop keepalived.service\n")
	stopping := write("stopping.conf", "vrrp_script s {\nscript \"/bin/sh "+script+"\"\n}\n"+same)
	probing := write("probing.conf", "vrrp_script s {\nscript \""+write("probe.sh", "killall -0 keepalived\n")+"\"\n}\n"+same)
	empty := write("empty.conf", "# nothing\n")
	for _, c := range []struct {
		args   []string
		status int
		has    string
	}{
		{[]string{good}, 0, `vrrp "V"`},
		{[]string{"--node", "lb1=" + good, "--node", "lb2=" + good}, 0, "priority          = { lb1 = 150, lb2 = 120 }[node.name]"},
		{[]string{"-i", "lb2", good}, 0, "priority          = 120"},
		{[]string{certified}, 0, `cert_file   = "/absent/a.pem"`},
		{[]string{lossy}, importPartial, "# keepalived's bfd_instance"},
		{[]string{"--check", "-i", "lb1", good}, 0, " eth0 IPv4 router 7: version 2, priority 150"},
		{[]string{"--check", "--node", "lb1=" + good, "--node", "lb2=" + good}, 0, "+++ lvs-ha: the imported configuration on lb2"},
		{[]string{"--check", certified}, 0, " -a -u 10.0.0.9:443 -r 10.0.1.2:443 -m -w 1"},
		{[]string{"--check", foreign}, importPartial, "-10.0.0.9/24 dev eth0 home"},
		{[]string{stopping}, importPartial, "stops keepalived (systemctl --no-block stop keepalived). Let it fail"},
		{[]string{probing}, 0, "probe.sh"},
		{[]string{twice}, importPartial, "# vrrp_instance: lvs-ha does not accept it: "},
		{[]string{empty}, 1, ""},
		{[]string{filepath.Join(dir, "absent")}, 1, ""},
		{[]string{"--node", "lb1"}, 1, ""},
		{[]string{"--node", "lb1=" + good, good}, 1, ""},
	} {
		var out, errOut bytes.Buffer
		cmd := newImportKeepalived()
		cmd.SetArgs(c.args)
		cmd.SetOut(&out)
		cmd.SetErr(&errOut)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.Execute()
		status := 0
		if exit, ok := errors.AsType[*exitError](err); ok {
			status = exit.status
		} else if err != nil {
			status = 1
		}
		if status != c.status || !bytes.Contains(out.Bytes(), []byte(c.has)) {
			t.Errorf("%v: status %d, want %d; %v\n%s%s", c.args, status, c.status, err, out.String(), errOut.String())
		}
	}
	doubtful := write("doubtful.conf", "vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\n@lb8 priority 150\nvirtual_ipaddress {\n10.0.0.1\n"+
		strings.Repeat("VIP\n", 12)+"}\n}\n")
	var messages bytes.Buffer
	doubting := newImportKeepalived()
	doubting.SetArgs([]string{doubtful})
	doubting.SetOut(io.Discard)
	doubting.SetErr(&messages)
	if err := doubting.Execute(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"Lines for @lb8 were left out", doubtful + `:7: virtual_ipaddress: "VIP" is not an address.`, "and 2 more: use -o json"} {
		if !strings.Contains(messages.String(), want) {
			t.Errorf("standard error\n%s\nwant %s", messages.String(), want)
		}
	}
	var out bytes.Buffer
	cmd := newImportKeepalived()
	cmd.SetArgs([]string{"-o", "json", lossy})
	cmd.SetOut(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	_ = cmd.Execute()
	var got struct {
		HCL      string
		Findings []importedFinding
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.HCL == "" || len(got.Findings) < 6 {
		t.Errorf("%v: %s", err, out.String())
	}
}
