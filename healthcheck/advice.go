package healthcheck

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Advice is what a check has learned about a server's share of the traffic: from an agent, a script, a file or an HTTP
// response. The zero value says nothing.
type Advice struct {
	Unit    Unit    // of Number; empty: nothing is said about the weight
	Number  float64 // negative only if it is Added
	Mode    Mode
	MaxConn int // connections at which the server receives no more; 0: as configured
}

// Unit is the unit of an advised weight.
type Unit string

// The units.
const (
	Weights Unit = "weight"  // replaces the configured weight
	Percent Unit = "percent" // of the configured weight
	Added   Unit = "added"   // to the configured weight; may be negative
)

// Mode is the administrative state that a server's agent asks for. Its zero value says nothing.
type Mode uint8

// The modes.
const (
	Ready       Mode = iota + 1 // normal operation
	Drain                       // no new connections
	Maintenance                 // out of service
)

var modeWords = [...]string{Ready: "ready", Drain: "drain", Maintenance: "maint"}

// maxNumber bounds advised numbers: weights and thresholds have 31 bits in the kernel.
const maxNumber = math.MaxInt32

// plus returns the advice after more was said: what is not mentioned does not change.
func (a Advice) plus(said Advice) Advice {
	if said.Unit != "" {
		a.Unit, a.Number = said.Unit, said.Number
	}
	if said.Mode != 0 {
		a.Mode = said.Mode
	}
	if said.MaxConn != 0 {
		a.MaxConn = said.MaxConn
	}
	return a
}

// String describes the advice in the agent's words.
func (a Advice) String() string {
	var words []string
	switch a.Unit {
	case Percent:
		words = append(words, strconv.FormatFloat(math.Round(a.Number), 'f', -1, 64)+"%")
	case Weights:
		words = append(words, "weight "+strconv.FormatFloat(math.Round(a.Number), 'f', -1, 64))
	case Added:
		words = append(words, fmt.Sprintf("weight %+.0f", a.Number))
	}
	if a.Mode != 0 && int(a.Mode) < len(modeWords) {
		words = append(words, modeWords[a.Mode])
	}
	if a.MaxConn != 0 {
		words = append(words, fmt.Sprintf("maxconn:%d", a.MaxConn))
	}
	return strings.Join(words, " ")
}

// WeightOf returns the weight advised for a server with a configured weight. A server gets no connections only if it is
// advised 0: rounding does not take the last one from it.
func (a Advice) WeightOf(configured uint32) uint32 {
	weight := float64(configured)
	switch {
	case configured == 0 || a.Mode == Drain || a.Mode == Maintenance:
		return 0
	case a.Unit == Added:
		return uint32(math.Round(min(max(weight+a.Number, 0), maxNumber)))
	case a.Unit == Weights:
		weight = a.Number
	case a.Unit == Percent:
		weight = weight * a.Number / 100
	}
	if weight > 0 && weight < 1 {
		return 1
	}
	return uint32(math.Round(min(weight, maxNumber)))
}

// Weight is how the numbers that a check returns become weights.
type Weight struct {
	Header    string        `json:"header,omitempty"`    // of an HTTP response, with the number
	JSON      string        `json:"json,omitempty"`      // path to the number in the body of an HTTP response
	Unit      Unit          `json:"unit,omitempty"`      // of the number; empty: Weights
	Minimum   int           `json:"minimum,omitempty"`   // smaller numbers are raised to it
	Maximum   int           `json:"maximum,omitempty"`   // larger ones are lowered to it; 0: none
	Smoothing time.Duration `json:"smoothing,omitempty"` // time constant of the moving average; 0: none
	Rate      int           `json:"rate,omitempty"`      // maximum change in a second; 0: any
	Factor    int           `json:"factor,omitempty"`    // of numbers that are added; 0: they are not, and other numbers than 0 fail the check
}

// unit is the unit of the numbers of scripts, files and responses.
func (w *Weight) unit() Unit {
	if w == nil || w.Unit == "" {
		return Weights
	}
	return w.Unit
}

// follow returns the advice after more was said, the given time after the last result.
func (w *Weight) follow(before, said Advice, passed time.Duration) Advice {
	after := before.plus(said)
	if w == nil || said.Unit == "" {
		return after
	}
	bounded := max(said.Number, float64(w.Minimum))
	if said.Unit == Added {
		bounded = said.Number
	}
	if w.Maximum > 0 {
		bounded = min(bounded, float64(w.Maximum))
	}
	after.Number = bounded
	if before.Unit != said.Unit {
		return after // there is nothing to move from
	}
	change := bounded - before.Number
	if w.Smoothing > 0 {
		change *= 1 - math.Exp(-passed.Seconds()/w.Smoothing.Seconds())
	}
	if most := float64(w.Rate) * passed.Seconds(); w.Rate > 0 {
		change = max(-most, min(change, most))
	}
	after.Number = before.Number + change
	if math.Abs(bounded-after.Number) < 0.01 {
		after.Number = bounded
	}
	return after
}

// sources are the kinds of checks that return numbers, with the settings of a response that they need.
var sources = map[Kind]struct{ response, unit bool }{
	"agent":  {},
	"file":   {unit: true},
	"http":   {response: true, unit: true},
	"https":  {response: true, unit: true},
	"script": {unit: true},
}

// Faults lists the errors in the weight of a check of a kind.
func (w *Weight) Faults(kind Kind) []Fault {
	of, ok := sources[kind]
	var faults []Fault
	switch {
	case w == nil:
		return nil
	case !ok:
		return []Fault{fault("weight", "A %s check returns no weight. Remove the block, or use an agent, a script, a file or an http check.", kind)}
	case of.response && (w.Header == "") == (w.JSON == ""):
		faults = append(faults, fault("weight", "The weight is in the response: write header = \"X-Weight\" or json = \"load.weight\", one of them."))
	case !of.response && w.Header != "":
		faults = append(faults, fault("weight.header", "A %s check has no response headers. Remove it.", kind))
	case !of.response && w.JSON != "":
		faults = append(faults, fault("weight.json", "A %s check has no JSON. Remove it.", kind))
	}
	if w.Header != "" && strings.ContainsFunc(w.Header, notInToken) {
		faults = append(faults, fault("weight.header", "%s is not the name of a header.", quote(w.Header)))
	}
	switch {
	case w.Unit != Added && w.Factor != 0:
		faults = append(faults, fault("weight.factor", "Only numbers that are added have a factor. Write unit = \"added\", or remove it."))
	case w.Unit != Added:
	case kind != "file":
		faults = append(faults, fault("weight.unit", "Only the number in a file can be added. Write \"weight\" or \"percent\"."))
	case w.Minimum != 0 || w.Maximum != 0:
		faults = append(faults, fault("weight.unit", "A number that is added has no minimum and maximum. Remove them."))
	}
	if !of.unit && w.Unit != "" {
		faults = append(faults, fault("weight.unit", "An agent itself says that its number is a percentage. Remove it."))
	}
	if w.Maximum != 0 && w.Maximum < w.Minimum {
		faults = append(faults, fault("weight.maximum", "The maximum %d is less than the minimum %d.", w.Maximum, w.Minimum))
	}
	return faults
}

func (w *Weight) appendIdentity(b []byte) []byte {
	if w == nil {
		return appendInts(b, 0)
	}
	b = appendInts(b, 1, w.Minimum, w.Maximum, int(w.Smoothing), w.Rate, w.Factor)
	return appendText(appendText(appendText(b, w.Header), w.JSON), string(w.Unit))
}
