package config

import "testing"

// TestCorrection checks what to write in place of lines that HCL cannot parse.
func TestCorrection(t *testing.T) {
	for line, want := range map[string]string{
		`addresses = [192.0.2.10/24]`:                               `Write addresses = ["192.0.2.10/24"].`,
		`  addresses = [2001:db8::1/64, "2001:db8::2/64"] # both`:   `Write addresses = ["2001:db8::1/64", "2001:db8::2/64"].`,
		`addresses = ["192.0.2.10/24" "192.0.2.11/24"]`:             `Write addresses = ["192.0.2.10/24", "192.0.2.11/24"].`,
		`command = [/usr/bin/curl, -m, 2, local.url]`:               `Write command = ["/usr/bin/curl", "-m", 2, local.url].`,
		`addresses = [cidrhost("192.0.2.0/24", 1) "192.0.2.11/24"]`: "",
		`unknown = [192.0.2.10/24]`:                                 "",
		`real_server 192.0.2.21:80 {`:                               `Write real_server "192.0.2.21:80" { … }.`,
		`notify 192.0.2.21:80 {`:                                    "",
		`address = 192.0.2.10:80`:                                   `Write address = "192.0.2.10:80".`,
		`notify_fifo "/run/${node.name}.fifo" {`:                    `The label of notify_fifo is plain text, without ${…}. Write it out, or use dynamic "notify_fifo" with for_each, labels and content.`,
		`path = "/run/${node.name`:                                  "",
	} {
		if _, got := correction(line); got != want {
			t.Errorf("%s\n%q, want\n%q", line, got, want)
		}
	}
}
