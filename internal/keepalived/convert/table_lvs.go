package convert

import "maps"

// timerWords are the settings of a check that a real server and a virtual server may have too.
var timerWords = map[string]word{
	"retry":              {Equivalent, "fall", "fall is one more."},
	"delay_before_retry": {Equivalent, "retry_interval", ""},
	"warmup":             {Equivalent, "", "The first checks run at once, spread over a short time."},
	"delay_loop":         {Equivalent, "interval", ""},
	"connect_timeout":    {Equivalent, "timeout", "It is the limit of the whole check."},
	"alpha":              {Same, "", "Real servers are used after their first check."},
}

func with(more map[string]word) map[string]word {
	all := maps.Clone(timerWords)
	maps.Copy(all, more)
	return all
}

// checkWords are the settings of a checker.
func checkWords(more map[string]word) map[string]word {
	all := with(map[string]word{
		"connect_ip":       {Same, "address", ""},
		"connect_port":     {Same, "port", ""},
		"bindto":           {Same, "source.address", ""},
		"bind_port":        {Missing, "", "The source port is the kernel's choice."},
		"bind_if":          {Same, "source.interface", ""},
		"fwmark":           {Same, "source.mark", ""},
		"log_all_failures": {Missing, "", "Only changes of a real server's state are logged; status shows the last failure."},
	})
	maps.Copy(all, more)
	return all
}

var httpWords = checkWords(map[string]word{
	"nb_get_retry":  {Equivalent, "fall", "fall is one more."},
	"virtualhost":   {Same, "host", ""},
	"http_protocol": {Equivalent, "", "Checks speak HTTP/1.1 and close the connection."},
	"enable_sni":    {Equivalent, "", "SNI is sent if host is a name."},
	"sni_name":      {Ignored, "", "It has no TLS."},
	"fast_recovery": {Equivalent, "rise", "One success brings a real server up."},
	"tls_compliant": {Equivalent, "", "A connection that is closed without TLS's end is accepted."},
	"url":           {Same, `health_check "http"`, "One for each url."},
})

var sslWords = maps.Clone(httpWords)

func init() {
	sslWords["sni_name"] = word{Same, "tls.server_name", ""}
	maps.Copy(table, words{
		"virtual_server": with(map[string]word{
			"ip_family":               {Same, "family", ""},
			"lb_algo":                 {Same, "scheduler", ""},
			"lvs_sched":               {Same, "scheduler", ""},
			"lb_kind":                 {Same, "forwarding", ""},
			"lvs_method":              {Same, "forwarding", ""},
			"protocol":                {Same, "protocol", ""},
			"hashed":                  {Equivalent, "", "The kernel sets it."},
			"ops":                     {Same, "one_packet", ""},
			"flag-1":                  {Same, "scheduler_flags", ""},
			"flag-2":                  {Same, "scheduler_flags", ""},
			"flag-3":                  {Same, "scheduler_flags", ""},
			"sh-port":                 {Same, "scheduler_flags", ""},
			"sh-fallback":             {Same, "scheduler_flags", ""},
			"mh-port":                 {Same, "scheduler_flags", ""},
			"mh-fallback":             {Same, "scheduler_flags", ""},
			"persistence_engine":      {Same, "persistence.engine", ""},
			"persistence_timeout":     {Same, "persistence.timeout", ""},
			"persistence_granularity": {Same, "persistence.netmask, persistence.prefix", ""},
			"inhibit_on_failure":      {Same, `on_failure = "weight"`, ""},
			"quorum":                  {Same, "quorum.weight", ""},
			"hysteresis":              {Same, "quorum.hysteresis", ""},
			"quorum_up":               {Equivalent, "notify.up", "It is also run for the first state after a start."},
			"quorum_down":             {Equivalent, "notify.down", "It is also run for the first state after a start."},
			"sorry_server":            {Same, `sorry_server "address"`, ""},
			"sorry_server_inhibit":    {Equivalent, "", "A sorry server that is not used has weight 0."},
			"sorry_server_lvs_method": {Same, "sorry_server.forwarding", ""},
			"real_server":             {Same, `real_server "address"`, ""},
			"weight":                  {Same, "weight", ""},
			"virtualhost":             {Same, "host", ""},
			"ha_suspend":              {Same, `check_on = "master"`, ""},
			"omega":                   {Same, "notify.at_stop", ""},
			"smtp_alert":              {Equivalent, "notify_email.events", "notify_email sends mail about all services."},
			"snmp_name":               {Missing, "", noSNMP},
		}),
		"real_server": with(map[string]word{
			"weight":             {Same, "weight", ""},
			"lvs_method":         {Same, "forwarding, tunnel", ""},
			"uthreshold":         {Same, "upper_threshold", ""},
			"lthreshold":         {Same, "lower_threshold", ""},
			"inhibit_on_failure": {Same, "on_failure", ""},
			"notify_up":          {Equivalent, "notify.up", "It is also run for the first state after a start."},
			"notify_down":        {Equivalent, "notify.down", "It is also run for the first state after a start."},
			"smtp_alert":         {Equivalent, "notify_email.events", "notify_email sends mail about all servers."},
			"virtualhost":        {Same, "host", ""},
			"snmp_name":          {Missing, "", noSNMP},
			"TCP_CHECK":          {Same, `health_check "tcp"`, ""},
			"HTTP_GET":           {Same, `health_check "http"`, ""},
			"SSL_GET":            {Same, `health_check "https"`, "The certificate is not verified, as keepalived does it."},
			"MISC_CHECK":         {Same, `health_check "script"`, ""},
			"SMTP_CHECK":         {Same, `health_check "smtp"`, "EHLO is sent instead of HELO."},
			"DNS_CHECK":          {Same, `health_check "dns"`, ""},
			"UDP_CHECK":          {Same, `health_check "udp"`, ""},
			"PING_CHECK":         {Same, `health_check "ping"`, ""},
			"FILE_CHECK":         {Same, `health_check "file"`, ""},
			"BFD_CHECK":          {Missing, "", "lvs-ha has no BFD."},
		}),
		"TCP_CHECK": checkWords(nil),
		"HTTP_GET":  httpWords,
		"SSL_GET":   sslWords,
		"url": {
			"path":             {Same, "path", ""},
			"virtualhost":      {Same, "host", ""},
			"status_code":      {Same, "status", ""},
			"digest":           {Same, "digest", ""},
			"regex":            {Same, "body", ""},
			"regex_no_match":   {Same, "body_absent", ""},
			"regex_options":    {Same, "body", "They are written into the expression, as (?i)."},
			"regex_min_offset": {Same, "body_min_offset", ""},
			"regex_max_offset": {Same, "body_max_offset", ""},
			"regex_stack":      {Equivalent, "", "The search needs no stack."},
			"tls_compliant":    {Equivalent, "", "A connection that is closed without TLS's end is accepted."},
		},
		"MISC_CHECK": with(map[string]word{
			"misc_path":        {Same, "command", ""},
			"misc_timeout":     {Equivalent, "timeout", ""},
			"misc_dynamic":     {Same, "weight", ""},
			"user":             {Same, "user, group", ""},
			"log_all_failures": {Missing, "", "Only changes of a real server's state are logged; status shows the last failure."},
		}),
		"SMTP_CHECK": checkWords(map[string]word{
			"helo_name": {Same, "helo", ""},
			"host":      {Same, `health_check "smtp"`, "One for each host."},
		}),
		"host": checkWords(nil),
		"DNS_CHECK": checkWords(map[string]word{
			"name": {Same, "name", ""},
			"type": {Same, "type", ""},
		}),
		"UDP_CHECK": checkWords(map[string]word{
			"payload":          {Same, "send_hex", ""},
			"require_reply":    {Same, "expect_hex, expect", ""},
			"min_reply_length": {Equivalent, "expect", "It is not checked together with the data of require_reply."},
			"max_reply_length": {Equivalent, "expect", "It is not checked together with the data of require_reply."},
		}),
		"PING_CHECK": checkWords(nil),
		"FILE_CHECK": {
			"track_file": {Same, "path", ""},
			"weight":     {Same, "weight.factor", ""},
		},
		"BFD_CHECK": {
			"name":  {Missing, "", "lvs-ha has no BFD."},
			"alpha": {Missing, "", "lvs-ha has no BFD."},
		},
		"SSL": {
			"password":    {Missing, "", "Decrypt the key: openssl pkey -in KEY -out PLAIN."},
			"ca":          {Equivalent, "", "keepalived reads the file, but does not verify certificates with it."},
			"certificate": {Equivalent, "tls.cert_file", "It is in each https check."},
			"key":         {Equivalent, "tls.key_file", "It is in each https check."},
		},
	})
	delete(table["MISC_CHECK"], "connect_timeout")
}
