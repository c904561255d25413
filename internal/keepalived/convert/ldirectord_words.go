package convert

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ldShared are the words that both levels of an ldirectord.cf have.
var ldShared = map[string]word{
	"checktimeout":     {Same, "timeout", ""},
	"negotiatetimeout": {Same, "timeout", ""},
	"checkinterval":    {Same, "interval", ""},
	"checkcount":       {Equivalent, "fall", ""},
	"failurecount":     {Same, "fall", ""},
	"fallback":         {Same, `sorry_server "address"`, ""},
	"fallback6":        {Same, `sorry_server "address"`, ""},
	"fallbackcommand":  {Equivalent, "notify.down, notify.up", ""},
	"quiescent":        {Same, `on_failure = "weight"`, ""},
	"cleanstop":        {Differs, "director.on_stop", "on_stop is a setting of all services."},
	"emailalertfreq":   {Missing, "", "Mail is sent once for each change."},
	"emailalertstatus": {Equivalent, "notify_email", "Mail is sent while lvs-ha runs; none turns it off."},
	"smtp":             {Same, "notify_email.smtp", ""},
}

func ldWords(more map[string]word) map[string]word {
	all := maps.Clone(ldShared)
	maps.Copy(all, more)
	return all
}

// ldirectordWords says what becomes of each word of ldirectord 4.12.
var ldirectordWords = words{
	ldGlobal: ldWords(map[string]word{
		"virtual":        {Same, `virtual_service "name"`, ""},
		"virtual6":       {Same, `virtual_service "name"`, ""},
		"emailalert":     {Same, "notify_email.to", ""},
		"emailalertfrom": {Same, "notify_email.from", ""},
		"autoreload":     {Missing, "", "Reload with systemctl reload lvs-ha."},
		"callback":       {Missing, "", "Copy the configuration to the other director when you change it."},
		"execute":        {Missing, "", "Import that configuration too."},
		"logfile":        {Equivalent, "", "lvs-ha logs to the system's journal."},
		"supervised":     {Equivalent, "", "systemd supervises lvs-ha."},
		"fork":           {Equivalent, "", "All checks run side by side."},
		"readdquiescent": {Differs, "", "A real server that somebody removed from the table is added again."},
		"maintenancedir": {Missing, "", "Use lvs-ha disable and lvs-ha enable."},
	}),
	ldVirtual: ldWords(map[string]word{
		"real":         {Same, `real_server "address"`, ""},
		"real6":        {Same, `real_server "address"`, ""},
		"servicename":  {Same, `virtual_service "name"`, ""},
		"comment":      {Same, "", ""},
		"checktype":    {Same, `health_check "kind"`, ""},
		"service":      {Same, `health_check "kind"`, ""},
		"checkcommand": {Same, "command", ""},
		"checkport":    {Same, "port", ""},
		"request":      {Same, "path, name, send", ""},
		"receive":      {Same, "body, expect", ""},
		"httpmethod":   {Same, "method", ""},
		"virtualhost":  {Same, "host", ""},
		"login":        {Differs, "", "Checks do not log in. Use a script check for it."},
		"passwd":       {Differs, "", "Checks do not log in. Use a script check for it."},
		"database":     {Differs, "", "Checks run no queries. Use a script check for it."},
		"secret":       {Differs, "", "Checks do not log in. Use a script check for it."},
		"load":         {Equivalent, "", "ldirectord does not use it."},
		"scheduler":    {Same, "scheduler", ""},
		"schedflags":   {Same, "scheduler_flags", ""},
		"persistent":   {Same, "persistence.timeout", ""},
		"netmask":      {Same, "persistence.netmask, persistence.prefix", ""},
		"protocol":     {Same, "protocol", ""},
		"ops":          {Same, "one_packet", ""},
		"emailalert":   {Differs, "notify_email", "notify_email sends mail about all services."},
		"monitorfile":  {Missing, "", "The log and lvs-ha history have each change."},
	}),
}

// ldChoices are the values that ldirectord knows for a word.
var ldChoices = map[string][]string{
	"checktype": {"connect", "external", "external-perl", "negotiate", "off", "on", "ping"},
	"service": {
		"dns", "ftp", "http", "https", "http_proxy", "imap", "imaps", "ldap", "ldaps", "mysql", "nntp", "none", "oracle", "pgsql", "pop", "pops",
		"radius", "simpletcp", "sip", "smtp", "submission",
	},
	"protocol": {"tcp", "udp", "fwm"}, "httpmethod": {"GET", "HEAD"},
	"ops": yesNo, "quiescent": yesNo, "cleanstop": yesNo, "autoreload": yesNo, "fork": yesNo, "readdquiescent": yesNo, "supervised": yesNo,
}

var (
	yesNo    = []string{"yes", "no"}
	ldWord   = regexp.MustCompile(`\w+`)
	ldHyphen = regexp.MustCompile(`[\w-]+`)
)

// ldChoice returns the word that ldirectord takes of a value: the first one. It returns false if ldirectord knows others only, and refuses
// the file.
func ldChoice(keyword, value string) (string, bool) {
	all, is := ldChoices[keyword]
	if !is {
		return value, true
	}
	switch word := value; keyword {
	case "checktype":
		if firstDigits(value) != "" {
			return value, true
		}
		value = ldHyphen.FindString(word)
	case "service", "protocol":
		value = ldWord.FindString(word)
	case "httpmethod":
		value = strings.ToUpper(ldWord.FindString(word))
	}
	return value, slices.Contains(all, value)
}

// refusedChoice records that ldirectord does not know a value.
func (l *line) refusedChoice(value string) bool {
	if _, ok := ldChoice(l.Keyword, value); ok || len(l.Args) == 0 {
		return false
	}
	l.find(Differs, "%q is none of %s: ldirectord refuses the whole file; it was left out.", value, strings.Join(ldChoices[l.Keyword], ", "))
	return true
}
