package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// consequenceOf marks a problem caused by another one: the value is unknown because a variable or local value is
// invalid.
type consequenceOf struct{}

func consequence(at hcl.Range) *hcl.Diagnostic {
	diag := problem(at, "Unknown value", "This value depends on an unknown value. Refer to the local values that it needs by name, one by one.")
	diag.Extra = consequenceOf{}
	return diag
}

func isConsequence(diag *hcl.Diagnostic) bool {
	_, marked := diag.Extra.(consequenceOf)
	return marked
}

// explain adds corrections in terms of this language to messages of package hcl, and omits consequences of other errors.
func (l *loader) explain(diags hcl.Diagnostics, context *hcl.EvalContext) hcl.Diagnostics {
	hasCause := slices.ContainsFunc(diags, func(diag *hcl.Diagnostic) bool {
		return diag.Severity == hcl.DiagError && !isConsequence(diag)
	})
	var explained hcl.Diagnostics
	for _, diag := range diags {
		if hasCause && (isConsequence(diag) || diag.Severity == hcl.DiagWarning) {
			continue // a warning about an incompletely decoded object may be wrong
		}
		explained = append(explained, l.explainOne(diag, context))
	}
	return explained
}

func (l *loader) explainOne(diag *hcl.Diagnostic, context *hcl.EvalContext) *hcl.Diagnostic {
	switch summary := diag.Summary; {
	case summary == "Unknown variable":
		return l.explainVariable(diag)
	case summary == "Call to unknown function":
		return l.explainFunction(diag)
	case summary == "Missing required argument":
		return explainMissing(diag)
	case syntaxSummaries[summary]:
		return l.explainSyntax(diag)
	case summary == "Invalid index":
		return explainIndex(diag)
	case summary == "Unsupported attribute":
		return l.explainName(diag, context)
	case summary == "Unsupported argument", summary == "Unsupported block type":
		return explainWord(diag, l.source.files)
	case strings.HasPrefix(summary, "Missing name for "):
		return withDetail(diag, fmt.Sprintf("This block needs a label in quotes, between %q and the brace.",
			strings.TrimPrefix(summary, "Missing name for ")))
	case strings.HasPrefix(summary, "Extraneous label for "):
		return withDetail(diag, "Remove this label.")
	}
	if name := nodeNameOf(diag.EvalContext); name != "" && mentionsNode(diag) {
		return withDetail(diag, diag.Detail+fmt.Sprintf(" This node is called %q; --node overrides that.", name))
	}
	return diag
}

// syntaxSummaries are the HCL parser's summaries for a line that lacks an equals sign, quotes or commas, or has an expression as a label.
var syntaxSummaries = map[string]bool{
	"Argument or block definition required": true,
	"Invalid expression":                    true,
	"Invalid string literal":                true,
	"Missing item separator":                true,
	"Invalid argument name":                 true,
	"Invalid block definition":              true,
	"Invalid number literal":                true,
	"Missing newline after argument":        true,
}

func withDetail(diag *hcl.Diagnostic, detail string) *hcl.Diagnostic {
	changed := *diag
	changed.Detail = detail
	return &changed
}

// explainWord explains where an unknown word belongs, or its name in this language.
func explainWord(diag *hcl.Diagnostic, files map[string]*sourceFile) *hcl.Diagnostic {
	if diag.Subject == nil {
		return diag
	}
	file := files[diag.Subject.Filename]
	if file == nil || !diag.Subject.CanSliceBytes(file.text) {
		return diag
	}
	word := strings.Trim(string(diag.Subject.SliceBytes(file.text)), `"`)
	detail, suggestion, _ := strings.Cut(diag.Detail, " Did you mean")
	if strings.HasPrefix(suggestion, " to define a block") {
		return withDetail(diag, fmt.Sprintf("%s is a block. Write it without an equals sign: %s { … }.", word, header(word)))
	}
	if hint, ok := otherWords[word]; ok {
		return withDetail(diag, detail+" "+hint)
	}
	if v, ok := diag.Extra.(variant); ok {
		what := "attribute"
		if diag.Summary == "Unsupported block type" {
			what = "block"
		}
		return withDetail(diag, v.explainUnknown(word, what))
	}
	if suggestion != "" {
		return diag
	}
	return withDetail(diag, detail+unknownWord(word))
}

// explainIndex lists the valid keys, and explains --node if the key is this node's name.
func explainIndex(diag *hcl.Diagnostic) *hcl.Diagnostic {
	index, ok := diag.Expression.(*hclsyntax.IndexExpr)
	if !ok || diag.EvalContext == nil {
		return diag
	}
	key, keyDiags := index.Key.Value(diag.EvalContext)
	collection, diags := index.Collection.Value(diag.EvalContext)
	if keyDiags.HasErrors() || diags.HasErrors() || !isText(key) || !collection.IsKnown() || collection.IsNull() {
		return diag
	}
	if t := collection.Type(); !t.IsObjectType() && !t.IsMapType() {
		return diag
	}
	keys := slices.Sorted(maps.Keys(collection.AsValueMap()))
	has := "This object is empty."
	if len(keys) > 0 {
		has = fmt.Sprintf("This object has %s.", strings.ReplaceAll(enumerate(keys), " or ", " and "))
	}
	if !mentionsNode(diag) {
		return withDetail(diag, fmt.Sprintf("There is no %q in this object. %s%s", key.AsString(), has, didYouMean(key.AsString(), keys)))
	}
	changed := withDetail(diag, fmt.Sprintf("This node is called %q, and there is no value for it. %s "+
		"Add one for %q, set the name in a node block, or select one with --node.",
		key.AsString(), has, key.AsString()))
	changed.Summary = "No value for this node"
	return changed
}

// explainName suggests a variable, a local value or a node attribute.
func (l *loader) explainName(diag *hcl.Diagnostic, context *hcl.EvalContext) *hcl.Diagnostic {
	scope, ok := diag.Expression.(*hclsyntax.ScopeTraversalExpr)
	if !ok || len(scope.Traversal) < 2 {
		return diag
	}
	kind := map[string]string{"var": "variable", "local": "local value", "node": "node attribute"}[scope.Traversal.RootName()]
	step, isAttr := scope.Traversal[1].(hcl.TraverseAttr)
	if kind == "" || !isAttr {
		return diag
	}
	for ; context != nil; context = context.Parent() {
		object, ok := context.Variables[scope.Traversal.RootName()]
		if !ok {
			continue
		}
		if object.Type().HasAttribute(step.Name) || kind == "local value" && slices.Contains(l.localNames, step.Name) {
			return diag
		}
		known := l.localNames
		if kind != "local value" {
			known = slices.Sorted(maps.Keys(object.Type().AttributeTypes()))
		}
		changed := withDetail(diag, fmt.Sprintf("There is no %s %q.%s", kind, step.Name, didYouMean(step.Name, known)))
		changed.Summary = "Unknown " + kind
		return changed
	}
	return diag
}

// mentionsNode reports whether the expression of a problem uses node.name.
func mentionsNode(diag *hcl.Diagnostic) bool {
	if diag.Expression == nil || diag.EvalContext == nil || diag.Severity != hcl.DiagError {
		return false
	}
	return slices.ContainsFunc(diag.Expression.Variables(), func(t hcl.Traversal) bool { return t.RootName() == "node" })
}

func nodeNameOf(context *hcl.EvalContext) string {
	for ; context != nil; context = context.Parent() {
		if node, ok := context.Variables["node"]; ok && node.Type().HasAttribute("name") {
			if name := node.GetAttr("name"); isText(name) {
				return name.AsString()
			}
		}
	}
	return ""
}

// header is the beginning of a block of this type, with a label if it has one.
func header(word string) string {
	labelled := false
	walkSchema(Schema(), func(b Block) { labelled = labelled || b.Type == word && b.Label != "" })
	if labelled {
		return word + ` "…"`
	}
	return word
}

// unknownWord explains where a misplaced word belongs.
func unknownWord(word string) string {
	if slices.ContainsFunc(Schema().Blocks, func(b Block) bool { return b.Type == word }) {
		if strings.HasPrefix(word, "track_") {
			return ` It is a top-level block. To use it here, write track "name" {}.`
		}
		return " It is a top-level block."
	}
	var homes []string
	walkSchema(Schema(), func(block Block) {
		for _, a := range block.Attributes {
			if a.Name == word {
				homes = append(homes, block.Type)
			}
		}
		for _, b := range block.Blocks {
			if b.Type == word && block.Type != "" {
				homes = append(homes, block.Type)
			}
		}
	})
	slices.Sort(homes)
	if homes = slices.Compact(homes); len(homes) > 0 {
		return fmt.Sprintf(" It belongs in the block %s.", enumerate(homes))
	}
	var known []string
	walkSchema(Schema(), func(block Block) {
		if block.Type != "" {
			known = append(known, block.Type)
		}
	})
	return didYouMean(word, known)
}

// otherWords maps words of keepalived and ipvsadm to those of this language.
var otherWords = map[string]string{
	"advert_int":                 `Write advertise_interval = "1s".`,
	"alpha":                      "Remove it: a real server is not used before its first check has passed.",
	"authentication":             `Write auth_pass = "…", with version = 2.`,
	"connect_timeout":            `Write timeout = "1s".`,
	"enabled":                    "There is no such option. Remove the block, or comment it out with #.",
	"enable":                     "There is no such option. Remove the block, or comment it out with #.",
	"disabled":                   "There is no such option. Remove the block, or comment it out with #.",
	"delay_loop":                 `Write interval = "2s" in the health_check.`,
	"garp_group":                 `Write announce_limit { interfaces = ["eth0", "eth1"] … }.`,
	"garp_master_refresh":        `Write announce { refresh = "60s" }.`,
	"global_defs":                "It is not needed; remove it.",
	"hysteresis":                 `Write quorum { servers = 2, hysteresis = 1 } in the virtual_service, one attribute a line.`,
	"inhibit_on_failure":         `Write on_failure = "weight" in the virtual_service.`,
	"lb_algo":                    `Write scheduler = "wlc".`,
	"lb_kind":                    `Write forwarding = "nat", "dr" or "tun".`,
	"lvs_method":                 `Write forwarding = "nat", "dr" or "tun".`,
	"lvs_sched":                  `Write scheduler = "wlc".`,
	"lvs_sync_daemon":            `Write a connection_sync block in the vrrp block.`,
	"nb_get_retry":               "Write fall = 3.",
	"nopreempt":                  "Write preempt = false.",
	"notification_email":         `Write notify_email "name" { … } at the top level.`,
	"notify_backup":              `Write notify { backup = ["/path/to/script"] }.`,
	"notify_down":                `Write notify { down = ["/path/to/script"] }.`,
	"notify_up":                  `Write notify { up = ["/path/to/script"] }.`,
	"quorum_down":                `Write notify { down = ["/path/to/script"] } in the virtual_service.`,
	"quorum_up":                  `Write notify { up = ["/path/to/script"] } in the virtual_service.`,
	"ha_suspend":                 "Remove it: a backup checks too, so that it knows its servers when it takes over.",
	"omega":                      `Write at_stop = true in the notify block of the virtual_service.`,
	"lvs_notify_fifo":            `Write notify_fifo "/run/lvs-ha/notify.fifo" { events = ["service", "server"] } at the top level.`,
	"notify_fault":               `Write notify { fault = ["/path/to/script"] }.`,
	"notify_master":              `Write notify { master = ["/path/to/script"] }.`,
	"no_accept":                  "Write vmac { accept = false }.",
	"notify_stop":                `Write notify { stop = ["/path/to/script"] }.`,
	"ops":                        "Write one_packet = true.",
	"persistence_timeout":        `Write persistence { timeout = "5m" }.`,
	"retry":                      "Write fall = 3.",
	"script_user":                `Write user = "root" in the block that has the script.`,
	"smtp_alert":                 `Write notify_email "name" { … } at the top level.`,
	"smtp_server":                `Write notify_email "name" { smtp = "mail.example.com:587" … } at the top level.`,
	"state":                      "There is no initial state: the priority decides which node is master. Remove it.",
	"sorry_server_lvs_method":    `Write forwarding = "nat", "dr" or "tun" in the sorry_server block.`,
	"sorry_server_inhibit":       "Remove it: a sorry server that is not in use has weight 0.",
	"unicast_peer":               `Write unicast_peers = ["192.0.2.2"].`,
	"unicast_src_ip":             `Write source_address = "192.0.2.1".`,
	"use_ipvlan":                 "Remove it: the addresses on the interface itself have the same MAC address as on an ipvlan.",
	"use_vmac":                   "Write vmac {}.",
	"use_vmac_addr":              "It is not supported: write a vrrp block for each interface, in a sync_group.",
	"vmac_xmit_base":             "Write vmac { xmit_base = true }.",
	"v3_checksum_as_v2":          `Write checksum = "without-pseudo".`,
	"virtual_ipaddress":          `Write addresses = ["192.0.2.10/24"].`,
	"virtual_server":             `Write virtual_service "name" { address = "192.0.2.10:80" }.`,
	"vrrp_instance":              `Write vrrp "name" { … }.`,
	"vrrp_notify_fifo":           `Write notify_fifo "/run/lvs-ha/notify.fifo" { events = ["vrrp"] } at the top level.`,
	"vrrp_script":                `Write track_script "name" { command = ["…", "…"] }, and track "name" {} in the vrrp block.`,
	"vrrp_track_file":            `Write track_file "name" { path = "…" }, and track "name" {} in the vrrp block.`,
	"vrrp_track_process":         `Write track_process "name" {}, and track "name" {} in the vrrp block.`,
	"vrrp_sync_group":            `Write sync_group "name" { instances = ["…", "…"] }.`,
	"script":                     `Write command = ["/usr/bin/pidof", "haproxy"].`,
	"enable_script_security":     "Remove it: programs that other users can change are always refused.",
	"virtual_ipaddress_excluded": `Write excluded_addresses = ["192.0.2.11/24"].`,
	"HTTP_GET":                   `Write health_check "http" { … }.`,
	"SSL_GET":                    `Write health_check "https" { … }.`,
	"TCP_CHECK":                  `Write health_check "tcp" { … }.`,
	"SMTP_CHECK":                 `Write health_check "smtp" { … }.`,
	"DNS_CHECK":                  `Write health_check "dns" { … }.`,
	"UDP_CHECK":                  `Write health_check "udp" { … }.`,
	"PING_CHECK":                 `Write health_check "ping" {}.`,
	"MISC_CHECK":                 `Write health_check "script" { command = ["…", "…"] }.`,
	"FILE_CHECK":                 `Write health_check "file" { path = "…" }.`,
	"misc_path":                  `Write command = ["/path/to/script", "argument"] in a health_check "script".`,
	"misc_timeout":               `Write timeout = "5s".`,
	"misc_dynamic":               "Write weight {} in the health_check.",
	"delay_before_retry":         `Write retry_interval = "1s".`,
	"bindto":                     `Write source { address = "192.0.2.1" } in the health_check.`,
	"fwmark":                     "Write source { mark = 1 } in the health_check.",
	"connect_ip":                 `Write address = "192.0.2.1".`,
	"connect_port":               "Write port = 8080.",
	"helo_name":                  `Write helo = "lb1.example.com".`,
	"lower_connection_limit":     "Write lower_threshold = 100.",
	"upper_connection_limit":     "Write upper_threshold = 200.",
}
