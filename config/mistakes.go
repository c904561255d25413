package config

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Common mistakes of HCL beginners, and the corrections.

// source lines without quotes, equals sign, or both
var (
	unquotedLine = regexp.MustCompile(`^\s*([A-Za-z_][\w-]*)\s*=\s*([^\s"\[{(][^\s"\[{(]*)\s*(?:(?:#|//).*)?$`)
	colonLine    = regexp.MustCompile(`^\s*([A-Za-z_][\w-]*)\s*:\s*("[^"]*"|[^\s"\[{(]+)\s*(?:(?:#|//).*)?$`)
	bareLine     = regexp.MustCompile(`^\s*([A-Za-z_][\w-]*)\s+("[^"]*"|[^\s"\[{(=]+)\s*;?\s*(?:(?:#|//).*)?$`)
	listLine     = regexp.MustCompile(`^\s*([A-Za-z_][\w-]*)\s*=\s*\[([^\[\]{}()?]*)\]\s*(?:(?:#|//).*)?$`)
	listItem     = regexp.MustCompile(`"[^"]*"|[^\s,"]+`)
	listValue    = regexp.MustCompile(`^"|^-?[0-9]+(\.[0-9]+)?$|^(true|false|null)$|^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)+$`)
	labelLine    = regexp.MustCompile(`^\s*([A-Za-z_]\w*)\s+([^\s"={}]+)\s*\{`)
	templateLine = regexp.MustCompile(`^\s*([A-Za-z_]\w*)\s+"[^"$]*\$\{`)
	bareWord     = regexp.MustCompile(`^[-+]?[0-9]+$|^(true|false|null)$|^"`)
)

// explainSyntax explains what a line lacks, in place of the HCL parser's expectation.
func (l *loader) explainSyntax(diag *hcl.Diagnostic) *hcl.Diagnostic {
	if diag.Subject == nil {
		return diag
	}
	file := l.source.files[diag.Subject.Filename]
	if file == nil || diag.Subject.Start.Byte > len(file.text) {
		return diag
	}
	start := lineStart(file.text, diag.Subject.Start.Byte)
	end := len(file.text)
	if i := bytes.IndexByte(file.text[start:], '\n'); i >= 0 {
		end = start + i
	}
	if end-start > maxWidth {
		return diag
	}
	line := string(file.text[start:end])
	summary, detail := correction(line)
	if detail == "" {
		return diag
	}
	changed := withDetail(diag, detail)
	changed.Summary, changed.Context = summary, nil
	changed.Subject = &hcl.Range{ // the whole line: HCL's error also applies to the rest
		Filename: diag.Subject.Filename,
		Start:    hcl.Pos{Line: diag.Subject.Start.Line, Column: 1, Byte: start},
		End:      hcl.Pos{Line: diag.Subject.Start.Line, Column: 1 + end - start, Byte: end},
	}
	return changed
}

// correction says what to write in place of a line that HCL cannot parse; detail is empty if that is not known.
func correction(line string) (summary, detail string) {
	for _, form := range []struct {
		*regexp.Regexp
		summary string
	}{{unquotedLine, "Missing quotes"}, {colonLine, "Colon instead of ="}, {bareLine, "Argument without ="}} {
		match := form.FindStringSubmatch(line)
		if match == nil || !isAttribute(match[1]) {
			continue
		}
		value := match[2]
		if !bareWord.MatchString(value) {
			value = `"` + value + `"`
		} else if form.Regexp == unquotedLine {
			continue
		}
		if secretHeader.MatchString(match[1]) {
			value = `"…"`
		}
		return form.summary, fmt.Sprintf("Write %s = %s.", match[1], value)
	}
	if match := listLine.FindStringSubmatch(line); match != nil && isAttribute(match[1]) && !secretHeader.MatchString(match[1]) {
		items := listItem.FindAllString(match[2], -1)
		summary := "Missing comma"
		for i, item := range items {
			if !listValue.MatchString(item) {
				summary, items[i] = "Missing quotes", `"`+item+`"`
			}
		}
		return summary, fmt.Sprintf("Write %s = [%s].", match[1], strings.Join(items, ", "))
	}
	if match := labelLine.FindStringSubmatch(line); match != nil && isLabelled(match[1]) {
		return "Missing quotes", fmt.Sprintf("Write %s %q { … }.", match[1], match[2])
	}
	if match := templateLine.FindStringSubmatch(line); match != nil && isLabelled(match[1]) {
		return "Expression in a label", fmt.Sprintf(`The label of %s is plain text, without ${…}. Write it out, or use dynamic %q with for_each, labels and content.`, match[1], match[1])
	}
	return "", ""
}

// isLabelled reports whether there is a block of a type that has a label.
func isLabelled(name string) bool {
	found := false
	walkSchema(Schema(), func(b Block) { found = found || b.Type == name && b.Label != "" })
	return found
}

// isAttribute reports whether any block has an attribute of a name.
func isAttribute(name string) bool {
	found := false
	walkSchema(Schema(), func(b Block) {
		found = found || slices.ContainsFunc(b.Attributes, func(a Attribute) bool { return a.Name == name })
	})
	return found
}

// attributeBefore matches the text before a value that is an attribute's whole value.
var attributeBefore = regexp.MustCompile(`(?:^|[\s{])([A-Za-z_][\w-]*)\s*=\s*$`)

// explainVariable treats an unknown variable as a string without quotes, the most frequent cause.
func (l *loader) explainVariable(diag *hcl.Diagnostic) *hcl.Diagnostic {
	scope, ok := diag.Expression.(*hclsyntax.ScopeTraversalExpr)
	if !ok || diag.Subject == nil {
		return diag
	}
	file := l.source.files[diag.Subject.Filename]
	if file == nil || !scope.SrcRange.CanSliceBytes(file.text) {
		return diag
	}
	if meant := suggest(scope.Traversal.RootName(), []string{"local", "node", "var"}); meant != "" && len(scope.Traversal) > 1 {
		return withDetail(diag, fmt.Sprintf("There is no %q. Did you mean %q?", scope.Traversal.RootName(), meant))
	}
	word, name := string(scope.SrcRange.SliceBytes(file.text)), scope.Traversal.RootName()
	start := scope.SrcRange.Start.Byte
	before := file.text[max(0, start-maxValue):start] // a line may have megabytes, and as many mistakes
	before = before[lineStart(before, len(before)):]
	attribute := ""
	if match := attributeBefore.FindSubmatch(before); match != nil {
		attribute = string(match[1]) + " = "
	}
	if secretHeader.MatchString(attribute) {
		return withDetail(diag, fmt.Sprintf("Strings need quotes: %s\"…\".", attribute))
	}
	detail := ""
	switch strings.ToLower(name) {
	case "yes", "on", "enabled", "true":
		detail = fmt.Sprintf("Write %strue.", attribute)
	case "no", "off", "disabled", "false":
		detail = fmt.Sprintf("Write %sfalse.", attribute)
	default:
		detail = fmt.Sprintf("%s is not a variable. Strings need quotes: %s\"%s\".", cut(word, maxValue), attribute, cut(word, maxValue))
		if _, exists := slices.BinarySearch(l.localNames, name); exists {
			detail += fmt.Sprintf(" The local value is called local.%s.", name)
		} else if v, ok := l.context.Variables["var"]; ok && v.Type().IsObjectType() && v.Type().HasAttribute(name) {
			detail += fmt.Sprintf(" The variable is called var.%s.", name)
		}
	}
	return withDetail(diag, detail)
}

// otherFunctions are functions of other HCL languages.
var otherFunctions = map[string]string{
	"file":         "A configuration cannot read files. Write the value here, or set it with --var or --var-file.",
	"templatefile": "A configuration cannot read files. Write the string here, with ${…} in it.",
	"yamldecode":   "Use jsondecode, or write the values in HCL.",
	"timestamp":    "A configuration must give the same result on every run.",
}

// explainFunction suggests a function.
func (l *loader) explainFunction(diag *hcl.Diagnostic) *hcl.Diagnostic {
	call, ok := diag.Expression.(*hclsyntax.FunctionCallExpr)
	if !ok {
		return diag
	}
	detail := fmt.Sprintf("There is no function %q.", call.Name)
	if hint, ok := otherFunctions[call.Name]; ok {
		return withDetail(diag, detail+" "+hint)
	}
	known := slices.Sorted(maps.Keys(l.source.budget.functions))
	if similar := didYouMean(call.Name, known); similar != "" {
		return withDetail(diag, detail+similar)
	}
	return withDetail(diag, detail+" docs/reference.md lists the functions.")
}

// examples are values of required attributes.
var examples = map[string]string{
	"interface":         `Write interface = "eth0".`,
	"virtual_router_id": "Write virtual_router_id = 51: a number from 1 to 255, the same on both directors, that no other virtual router on this network has.",
	"command":           `Write command = ["/usr/bin/pidof", "haproxy"].`,
	"instances":         `Write instances = ["…", "…"] with the names of vrrp blocks.`,
	"condition":         "Write condition = var.name != \"\", or what must be true.",
	"error_message":     `Write error_message = "…".`,
}

var missing = regexp.MustCompile(`argument "([^"]+)" is required`)

// explainMissing adds an example of a required attribute.
func explainMissing(diag *hcl.Diagnostic) *hcl.Diagnostic {
	match := missing.FindStringSubmatch(diag.Detail)
	if match == nil {
		return diag
	}
	example, ok := examples[match[1]]
	if !ok {
		example = fmt.Sprintf("Write %s = ….", match[1])
	}
	changed := withDetail(diag, fmt.Sprintf("This block needs %s. %s", match[1], example))
	changed.Summary = "Missing " + match[1]
	return changed
}

// otherValues maps other programs' values to ours, by attribute or label.
var otherValues = map[string]map[string]string{
	"kind": {
		"icmp":    `There is no ICMP check: a host that answers pings may still not serve. Write health_check "tcp", with a port on which the server listens.`,
		"ping":    `There is no ICMP check: a host that answers pings may still not serve. Write health_check "tcp", with a port on which the server listens.`,
		"ssl":     `Write health_check "https".`,
		"tls":     `Write health_check "https".`,
		"connect": `Write health_check "tcp".`,
	},
	"protocol": {
		"icmp": "IPVS forwards TCP, UDP and SCTP. A virtual address answers pings without a virtual_service.",
		"http": `Write protocol = "tcp".`,
		"dns":  `Write protocol = "udp", and a second virtual_service for "tcp".`,
	},
	"forwarding": {
		"masq": `Write forwarding = "nat".`, "snat": `Write forwarding = "nat".`, "dnat": `Write forwarding = "nat".`,
		"gate": `Write forwarding = "dr".`, "direct": `Write forwarding = "dr".`, "dsr": `Write forwarding = "dr".`, "route": `Write forwarding = "dr".`,
		"ipip": `Write forwarding = "tun".`, "tunnel": `Write forwarding = "tun".`,
	},
	"scheduler": {
		"roundrobin": `Write scheduler = "rr", or "wrr" to respect weights.`, "round-robin": `Write scheduler = "rr", or "wrr" to respect weights.`,
		"leastconn": `Write scheduler = "wlc".`, "least-connection": `Write scheduler = "wlc".`, "source": `Write scheduler = "sh" or "mh".`,
	},
}
