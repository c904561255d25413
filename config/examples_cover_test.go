package config

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// notInExamples lists the options that no example uses, by reason.
var notInExamples = map[string]string{
	"rarely needed by a pair of directors": `
		director.grace director.on_stop director.repair_interval sysctl.manage connection_sync.group connection_sync.learn_time
		connection_sync.maxlen connection_sync.port connection_sync.sync_id connection_sync.ttl tunnel.checksum
		quorum.weight`,
	"of the language, not of a use": `
		node.name variable.type validation.condition validation.error_message`,
	"for peers of other makes, or a step on the way to another setting": `
		vrrp.checksum auth_hmac.mode auth_hmac.anti_replay auth_hmac.time_window`,
	"another form of one that is in an example": `
		key.file next_hop.onlink route.scope route.onlink rule.oif notify.backup notify.fault notify.stop notify.group notify.shell
		track_script.group track_script.shell track_script.reverse track_process.reverse track_file.reverse track_interface.reverse
		track_service.reverse track.reverse`,
	"its default suits most": `
		notify_email.ca_file notify_email.password_file notify_webhook.ca_file track_script.init track_script.timeout
		track_script.user track_script.weight track_interface.weight track_process.command track_process.delay_up
		track_process.maximum track_process.minimum track_process.process track_process.weight track_service.minimum
		track_service.service track_service.weight`,
	"another form, or its default suits most checks": `
		health_check.address source.address tls.ca_file tls.cert_file tls.key_file`,
}

// sameOptions are blocks that have the options of another, with the same meaning.
var sameOptions = map[string]string{
	"static_address": "address", "static_route": "route", "static_rule": "rule", "sorry_server": "real_server",
}

// TestExamplesUseEveryOption checks that each option is in an example, or in the list of those that need none.
func TestExamplesUseEveryOption(t *testing.T) {
	exempt := map[string]bool{}
	for _, options := range notInExamples {
		for _, option := range strings.Fields(options) {
			exempt[option] = true
		}
	}
	used := map[string]bool{}
	for _, path := range paths(t, "../examples/*.hcl") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, diags := hclsyntax.ParseConfig(text, path, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		collectOptions(file.Body.(*hclsyntax.Body), "", used)
	}
	options := map[string]bool{}
	walkSchema(Schema(), func(b Block) {
		for _, a := range b.Attributes {
			options[optionName(b.Type, a.Name)] = true
		}
	})
	for _, option := range slices.Sorted(maps.Keys(options)) {
		switch {
		case used[option] && exempt[option]:
			t.Errorf("%s is in an example: remove it from notInExamples", option)
		case !used[option] && !exempt[option]:
			t.Errorf("%s is in no example", option)
		}
	}
	for option := range exempt {
		if !options[option] {
			t.Errorf("%s of notInExamples does not exist", option)
		}
	}
}

func optionName(block, attribute string) string {
	if same, ok := sameOptions[block]; ok {
		block = same
	}
	return block + "." + attribute
}

// collectOptions adds the options of all blocks in a body.
func collectOptions(body *hclsyntax.Body, block string, used map[string]bool) {
	for attribute := range body.Attributes {
		used[optionName(block, attribute)] = true
	}
	for _, b := range body.Blocks {
		if b.Type != "dynamic" {
			collectOptions(b.Body, b.Type, used)
			continue
		}
		for _, content := range b.Body.Blocks {
			collectOptions(content.Body, b.Labels[0], used)
		}
	}
}
