package config

import (
	"testing"
)

const keepalivedConf = `! Configuration File for keepalived

global_defs {
   router_id LVS_1
   notification_email {
     root@localhost
   }
}

vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        192.0.2.10/24 dev eth0
    }
}
`

func TestForeign(t *testing.T) {
	for text, want := range map[string]string{
		keepalivedConf: "a keepalived configuration",
		"# web\nvrrp_instance web\n{\n  interface eth0\n}\n":                                 "a keepalived configuration",
		"vrrp_script chk {\n  script \"killall -0 haproxy\"\n}\n":                            "a keepalived configuration",
		"virtual_server 192.0.2.10 80 {\n    lb_algo rr\n}\n":                                "a keepalived configuration",
		"virtual_server fwmark 1 {\n}\n":                                                     "a keepalived configuration",
		"checktimeout=10\nvirtual=192.0.2.10:80\n\treal=192.0.2.1:80 gate\n\tservice=http\n": "an ldirectord configuration",
		"virtual6 = [2001:db8::1]:80\n real6=[2001:db8::2]:80 masq\n":                        "an ldirectord configuration",
		"-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 192.0.2.1:80 -g -w 1\n":          IpvsadmRules,
		"#!/bin/sh\n/sbin/ipvsadm -C\n/sbin/ipvsadm -A -t 192.0.2.10:80 -s wlc\n":            IpvsadmRules,
		"ipvsadm --add-service --fwmark-service 1\n":                                         IpvsadmRules,
		"vrrp_instance \"web\" {\n  state = \"MASTER\"\n}\n":                                 "",
		"virtual_service \"web\" {\n  address = 192.0.2.10:80\n}\n":                          "",
		"locals {\n  real = \"192.0.2.1\"\n  virtual = \"192.0.2.10\"\n}\n":                  "",
		"": "",
	} {
		name, _, remedy := Foreign([]byte(text))
		if name != want || (remedy == "") != (want == "") {
			t.Errorf("%q: got %q, want %q", text, name, want)
		}
		_, diags := LoadText("a.conf", []byte(text), asLB1())
		shown, _ := diags.Findings()
		if want != "" && (len(shown) != 1 || shown[0].Summary != "Not an lvs-ha configuration" || shown[0].Line == 0) {
			t.Errorf("%q: got %+v", text, shown)
		}
	}
}
