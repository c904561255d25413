package healthcheck_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// TestWeightInResponse checks that a number in a header or in JSON is taken, and that a response without one still passes.
func TestWeightInResponse(t *testing.T) {
	header, field := &Weight{Header: "X-Weight", Unit: Percent}, &Weight{JSON: "load.0.weight"}
	weights := func(n float64) Advice { return Advice{Unit: Weights, Number: n} }
	percent := func(n float64) Advice { return Advice{Unit: Percent, Number: n} }
	json := func(body string) string { return response(200, body) }
	for _, c := range []struct {
		weight   *Weight
		response string
		want     Advice
	}{
		{header, "HTTP/1.1 200 OK\r\nx-weight:  40 \r\nContent-Length: 0\r\n\r\n", percent(40)},
		{header, "HTTP/1.1 200 OK\r\nX-Weight: 12.5%\r\nContent-Length: 0\r\n\r\n", percent(12.5)},
		{header, "HTTP/1.1 200 OK\r\nX-Weight: 99999999999999\r\nContent-Length: 0\r\n\r\n", percent(2147483647)},
		{header, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Advice{}},
		{header, "HTTP/1.1 200 OK\r\nX-Weight: -4\r\nContent-Length: 0\r\n\r\n", Advice{}},
		{header, "HTTP/1.1 200 OK\r\nX-Weight: NaN\r\nContent-Length: 0\r\n\r\n", Advice{}},
		{header, "HTTP/1.1 200 OK\r\nX-Weight: secret\r\nContent-Length: 0\r\n\r\n", Advice{}},
		{header, "HTTP/1.1 200 OK\r\nX-Weight: " + strings.Repeat("1", 5000) + "\r\nContent-Length: 0\r\n\r\n", Advice{}},
		{field, json(`{"load": [{"weight": 7}], "other": "secret"}`), weights(7)},
		{field, json(`{"load": [{"weight": "50%"}]}`), percent(50)},
		{field, json(`{"load": [{"weight": 1e400}]}`), Advice{}},
		{field, json(`{"load": [{"weight": true}]}`), Advice{}},
		{field, json(`{"load": {"weight": 7}}`), Advice{}},
		{field, json(`{"load": []}`), Advice{}},
		{field, json(`not JSON`), Advice{}},
		{field, json(strings.Repeat("[", 8000)), Advice{}},
		{field, json(fmt.Sprintf(`{"load": [{"weight": 7}], "pad": %q}`, strings.Repeat("x", 9000))), Advice{}},
	} {
		spec := httpSpec(nil)
		spec.Weight = c.weight
		got := check(t, spec, serve(t, loopback, answering(c.response)))
		detail := "status 200"
		if c.want == (Advice{}) {
			detail += ", without a weight"
		}
		if !got.OK || got.Advice != c.want || got.Detail != detail {
			t.Errorf("%.80q: %+v, want %+v", c.response, got, c.want)
		}
	}
}
