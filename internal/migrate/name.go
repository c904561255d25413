package migrate

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// portNames are services that are commonly balanced, by their IANA or better-known names.
var portNames = map[uint16]string{
	21: "ftp", 22: "ssh", 25: "smtp", 53: "dns", 69: "tftp", 80: "http", 88: "kerberos", 110: "pop3", 123: "ntp",
	143: "imap", 161: "snmp", 389: "ldap", 443: "https", 465: "smtps", 514: "syslog", 587: "submission", 636: "ldaps",
	993: "imaps", 995: "pop3s", 1433: "mssql", 1521: "oracle", 1812: "radius", 1813: "radius-acct", 3128: "squid",
	3306: "mysql", 3389: "rdp", 5060: "sip", 5061: "sips", 5432: "postgresql", 5672: "amqp", 6379: "redis",
	9200: "elasticsearch", 11211: "memcached", 27017: "mongodb",
}

// nameServices gives every service a short, unique and descriptive name.
func nameServices(keys []ipvs.ServiceKey) map[ipvs.ServiceKey]string {
	alike := map[string][]ipvs.ServiceKey{}
	for _, k := range keys {
		alike[baseName(k)] = append(alike[baseName(k)], k)
	}
	names := map[ipvs.ServiceKey]string{}
	for base, group := range alike {
		for _, suffix := range suffixes {
			taken := map[string]bool{}
			for _, k := range group {
				names[k] = base + suffix(k)
				taken[names[k]] = true
			}
			if len(taken) == len(group) {
				break
			}
		}
	}
	return names
}

// suffixes distinguish services with the same base name; the last one always does.
var suffixes = []func(ipvs.ServiceKey) string{
	func(ipvs.ServiceKey) string { return "" },
	func(k ipvs.ServiceKey) string {
		if k.Mark != 0 {
			return "-" + k.Family.String()
		}
		return "-" + k.Protocol.String()
	},
	func(k ipvs.ServiceKey) string { return "-" + k.Address.String() },
	func(k ipvs.ServiceKey) string { return fmt.Sprintf("-%s-%s", k.Protocol, k.Address) },
}

func baseName(k ipvs.ServiceKey) string {
	switch name := portNames[k.Port]; {
	case k.Mark != 0:
		return fmt.Sprintf("mark-%d", k.Mark)
	case k.Port == 0:
		return "all-ports"
	case name != "":
		return name
	}
	return fmt.Sprintf("port-%d", k.Port)
}
