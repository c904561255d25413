package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// ListedServer is a real server in the list of a source.
type ListedServer struct {
	Address  netip.Addr `json:"address"`
	Port     uint16     `json:"port,omitempty"`     // 0: none is listed
	Weight   uint32     `json:"weight,omitempty"`   // if Weighted
	Weighted bool       `json:"weighted,omitempty"` // a weight is listed
}

// Limits of a list of servers.
const (
	MaxListed      = 1024    // servers of one source
	MaxServerList  = 1 << 20 // bytes of a file
	maxListedDepth = 8       // of nested brackets in JSON
)

// ParseServerList parses a file of real servers; name is its name in errors. A file that begins with a bracket is JSON: a list of
// "address", "address:port" or {"address": …, "port": …, "weight": …}. Any other has real_server blocks, as a configuration has.
func ParseServerList(name string, text []byte) ([]ListedServer, error) {
	if len(text) > MaxServerList {
		return nil, fmt.Errorf("%s: the list is larger than %d MiB", name, MaxServerList>>20)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s: the list is not UTF-8 text", name)
	}
	var list []ListedServer
	var err error
	switch start := bytes.TrimLeft(text, " \t\r\n"); {
	case len(start) == 0:
		return nil, fmt.Errorf("%s: the file is empty; an empty list is []", name)
	case start[0] == '[':
		list, err = parseJSONList(text)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	default:
		list, err = parseHCLList(name, text)
	}
	if err != nil {
		return nil, err
	}
	seen := make(map[netip.AddrPort]bool, len(list))
	for _, s := range list {
		at := netip.AddrPortFrom(s.Address, s.Port)
		if seen[at] {
			return nil, fmt.Errorf("%s: %s is listed twice", name, s)
		}
		seen[at] = true
	}
	return list, nil
}

// String returns the address, and the port if there is one.
func (s ListedServer) String() string {
	if s.Port == 0 {
		return s.Address.String()
	}
	return netip.AddrPortFrom(s.Address, s.Port).String()
}

// listedJSON is an element of a JSON list.
type listedJSON struct {
	Address string `json:"address"`
	Port    *int64 `json:"port"`
	Weight  *int64 `json:"weight"`
}

func parseJSONList(text []byte) ([]ListedServer, error) {
	if err := checkDepth(text); err != nil {
		return nil, err
	}
	var elements []json.RawMessage
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&elements); err != nil {
		return nil, jsonError(text, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text after the list")
	}
	if len(elements) > MaxListed {
		return nil, tooMany(len(elements))
	}
	list := make([]ListedServer, 0, len(elements))
	for i, element := range elements {
		s, err := parseJSONServer(element)
		if err != nil {
			return nil, fmt.Errorf("server %d: %w", i+1, err)
		}
		list = append(list, s)
	}
	return list, nil
}

func tooMany(n int) error {
	return fmt.Errorf("%d servers are listed, at most %d are allowed", n, MaxListed)
}

// checkDepth rejects nested brackets before they are decoded.
func checkDepth(text []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > maxListedDepth {
				return errors.New("too many nested brackets")
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return nil
}

// jsonError adds the line to a syntax error.
func jsonError(text []byte, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the list has no end; it may still be being written")
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("line %d: %w", 1+bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n")), err)
	}
	return err
}

func parseJSONServer(element json.RawMessage) (ListedServer, error) {
	var one listedJSON
	if element[0] == '"' {
		if err := json.Unmarshal(element, &one.Address); err != nil {
			return ListedServer{}, err
		}
	} else {
		d := json.NewDecoder(bytes.NewReader(element))
		d.DisallowUnknownFields()
		if err := d.Decode(&one); err != nil {
			return ListedServer{}, err
		}
	}
	at, err := parseEndpoint(one.Address)
	switch {
	case one.Address == "":
		return ListedServer{}, errors.New("it has no address")
	case err != nil:
		return ListedServer{}, err
	case one.Port != nil && at.hasPort:
		return ListedServer{}, fmt.Errorf("%q has a port, so that \"port\" must not be set", one.Address)
	case one.Port != nil && (*one.Port < 1 || *one.Port > 65535):
		return ListedServer{}, fmt.Errorf("port %d is not from 1 to 65535", *one.Port)
	case one.Weight != nil && (*one.Weight < 0 || *one.Weight > maxWeight):
		return ListedServer{}, fmt.Errorf("weight %d is not from 0 to %d", *one.Weight, maxWeight)
	}
	s := ListedServer{Address: at.address, Port: at.port}
	if one.Port != nil {
		s.Port = uint16(*one.Port)
	}
	if one.Weight != nil {
		s.Weight, s.Weighted = uint32(*one.Weight), true
	}
	return s, nil
}

// maxWeight is the largest weight of a real server, as in realServerBlock.
const maxWeight = 2147483647

// serverListFile is the content of a list in the language of configurations.
type serverListFile struct {
	RealServers []*listedServerBlock `hcl:"real_server,block"`
}

// listedServerBlock is a `real_server` block in a list.
type listedServerBlock struct {
	At      hcl.Range      `hcl:",def_range"`
	Address attr[endpoint] `hcl:"address,label"`
	Weight  attr[int64]    `hcl:"weight,optional" unset:"that of the discover block" range:"0..2147483647"`
}

func parseHCLList(name string, text []byte) ([]ListedServer, error) {
	l := &loader{source: source{files: map[string]*sourceFile{}}, secrets: newSecrets()}
	l.context = &hcl.EvalContext{Variables: map[string]cty.Value{}}
	diags := l.source.add(name, text)
	var f serverListFile
	decoder := &decoder{secrets: &l.secrets, budget: &l.source.budget}
	for _, language := range []bool{true, false} {
		if diags.HasErrors() {
			break
		}
		for body, syntax := range l.source.parsed(language) {
			if body.stream != nil && !syntax.HasErrors() {
				syntax = append(syntax, body.stream.whole()...)
			}
			if diags = append(diags, syntax...); diags.HasErrors() {
				break
			}
			diags = append(diags, decoder.body(body.Body, l.context, &f)...)
			if len(f.RealServers) > MaxListed {
				return nil, fmt.Errorf("%s: %w", name, tooMany(len(f.RealServers)))
			}
		}
	}
	diags = append(diags, l.source.budget.exceeded...)
	if diags.HasErrors() {
		all := &Diagnostics{list: tidy(l.explain(diags, l.context)), sources: l.source.files, secrets: l.secrets}
		shown, more := all.Findings()
		if len(shown) > 1 || more > 0 {
			return nil, fmt.Errorf("%s (and %d more errors)", shown[0], len(shown)-1+more)
		}
		return nil, errors.New(shown[0].String())
	}
	list := make([]ListedServer, 0, len(f.RealServers))
	for _, b := range f.RealServers {
		list = append(list, ListedServer{
			Address: b.Address.value.address, Port: b.Address.value.port, Weight: uint32(b.Weight.value), Weighted: b.Weight.isSet(),
		})
	}
	return list, nil
}
