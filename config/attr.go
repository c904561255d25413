package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// attr is the value of an attribute or a label, with its position in the source. Package gohcl's plain fields cannot
// distinguish an absent attribute from a zero one, and do not support durations and addresses.
type attr[T any] struct {
	value T
	place *hcl.Range // of the value; if absent, of the block
	state attrState
}

type attrState uint8

const (
	absent  attrState = iota // not written: value is the default
	written                  // written and valid
	broken                   // written but invalid: reported, and rules must not use the value
)

// at returns the position for errors about the value.
func (a *attr[T]) at() hcl.Range {
	if a.place == nil {
		return hcl.Range{}
	}
	return *a.place
}

// isSet reports whether a valid value was written in the configuration.
func (a *attr[T]) isSet() bool { return a.state == written }

// isOK reports whether rules may use the value, written or default.
func (a *attr[T]) isOK() bool { return a.state != broken }

// item is an element of a list with its position.
type item[T any] struct {
	value T
	at    hcl.Range
}

// field is the decoder's interface to an attr of any type.
type field interface {
	absent(block *hcl.Range)
	decode(value cty.Value, at hcl.Range, elements []hcl.Range, tag *tag) hcl.Diagnostics
	fail(at hcl.Range)
	setDefault(tag *tag)
	typeName() string
	location(element int) (at hcl.Range, ok bool)
}

// absent sets the position for errors about a missing attribute, which is that of its block.
func (a *attr[T]) absent(block *hcl.Range) { a.place = block }

// fail marks an attribute whose expression has no value.
func (a *attr[T]) fail(at hcl.Range) { a.place, a.state = &at, broken }

// decode decodes a written value.
func (a *attr[T]) decode(value cty.Value, at hcl.Range, elements []hcl.Range, tag *tag) hcl.Diagnostics {
	a.place, a.state = &at, broken
	if value.IsNull() {
		if tag.Kind == "attr" {
			return invalid(at, tag, "A value is required here, not null.")
		}
		a.state = absent // as if not written: expressions use null for the default
		return nil
	}
	diags := a.assign(value, elements, tag)
	if !diags.HasErrors() {
		a.state = written
	}
	return diags
}

// setDefault sets the default from the tag. It panics if the default is invalid, which a test of the schema detects.
func (a *attr[T]) setDefault(tag *tag) {
	if tag.Default == "" {
		return
	}
	if diags := a.assign(cty.StringVal(tag.Default), nil, tag); diags.HasErrors() {
		panic(fmt.Sprintf("the default of %s: %s", tag.Name, diags.Error()))
	}
}

// typeName returns the type's name in the reference.
func (a *attr[T]) typeName() string {
	switch any(a.value).(type) {
	case string, ifname, checkKind, secret.Text, broadcastAddress, fwmark:
		return "string"
	case int64:
		return "number"
	case bool:
		return "bool"
	case time.Duration:
		return "duration"
	case netip.Addr:
		return "address"
	case netip.Prefix:
		return "address/length"
	case endpoint:
		return "address:port"
	case map[string]string:
		return "map of strings"
	case []item[string], []item[ifname]:
		return "list of strings"
	case []item[netip.Addr]:
		return "list of addresses"
	case []item[netip.Prefix]:
		return "list of address/length"
	}
	panic(fmt.Sprintf("no name for the type %T", a.value))
}

// assign converts a value to the field's type and checks the constraints of the tag.
func (a *attr[T]) assign(value cty.Value, elements []hcl.Range, tag *tag) hcl.Diagnostics {
	switch target := any(&a.value).(type) {
	case *string:
		return scalar(target, value, a.at(), tag, func(s string) (string, error) { return s, tag.checkWord(s) })
	case *checkKind:
		return scalar(target, value, a.at(), tag, func(s string) (checkKind, error) { return parseCheckKind(s, tag) })
	case *ifname:
		return scalar(target, value, a.at(), tag, parseInterface)
	case *secret.Text:
		return scalar(target, value, a.at(), tag, func(s string) (secret.Text, error) { return secret.Text(s), nil })
	case *time.Duration:
		return scalar(target, value, a.at(), tag, func(s string) (time.Duration, error) { return parseDuration(s, tag) })
	case *netip.Addr:
		return scalar(target, value, a.at(), tag, parseAddress)
	case *netip.Prefix:
		return scalar(target, value, a.at(), tag, parsePrefix)
	case *fwmark:
		return scalar(target, value, a.at(), tag, parseFwmark)
	case *broadcastAddress:
		return scalar(target, value, a.at(), tag, parseBroadcast)
	case *endpoint:
		return scalar(target, value, a.at(), tag, parseEndpoint)
	case *int64:
		return number(target, value, a.at(), tag)
	case *bool:
		converted, err := convert.Convert(value, cty.Bool)
		if err != nil {
			return invalid(a.at(), tag, "%s", boolHint(tag.Name, value))
		}
		*target = converted.True()
		return nil
	case *map[string]string:
		return texts(target, value, a.at(), tag)
	case *[]item[string]:
		return list(target, value, a.at(), elements, tag, func(s string) (string, error) { return s, tag.checkWord(s) })
	case *[]item[ifname]:
		return list(target, value, a.at(), elements, tag, parseInterface)
	case *[]item[netip.Addr]:
		return list(target, value, a.at(), elements, tag, parseAddress)
	case *[]item[netip.Prefix]:
		return list(target, value, a.at(), elements, tag, parsePrefix)
	}
	panic(fmt.Sprintf("no way to decode the type %T", a.value))
}

// invalid returns the error for a value that does not fit its attribute.
func invalid(at hcl.Range, tag *tag, detail string, args ...any) hcl.Diagnostics {
	return hcl.Diagnostics{problem(at, fmt.Sprintf("Invalid %s", tag.Name), detail, args...)}
}

// scalar decodes a string with parse.
func scalar[T any](target *T, value cty.Value, at hcl.Range, tag *tag, parse func(string) (T, error)) hcl.Diagnostics {
	if !value.Type().IsPrimitiveType() || value.Type() == cty.Bool {
		return invalid(at, tag, "A quoted string is required here, not %s.", kindOf(value))
	}
	text, err := convert.Convert(value, cty.String)
	if err != nil {
		return invalid(at, tag, "A quoted string is required here: %s.", err)
	}
	parsed, err := parse(text.AsString())
	if err != nil {
		return invalid(at, tag, "%s", sentence(err))
	}
	*target = parsed
	return nil
}

// kindOf returns the type of a value in the terms of the language.
func kindOf(value cty.Value) string {
	switch t := value.Type(); {
	case t == cty.Bool:
		return "true or false"
	case t.IsObjectType(), t.IsMapType():
		return "an object"
	}
	return "a list"
}

// number decodes an integer.
func number(target *int64, value cty.Value, at hcl.Range, tag *tag) hcl.Diagnostics {
	converted, err := convert.Convert(value, cty.Number)
	if err != nil {
		return invalid(at, tag, "A number is required here.")
	}
	whole, exact := converted.AsBigFloat().Int64()
	if exact != 0 || !converted.AsBigFloat().IsInt() {
		return invalid(at, tag, "%s is not a whole number in range.", converted.AsBigFloat().Text('g', 10))
	}
	if err := tag.checkNumber(whole); err != nil {
		return invalid(at, tag, "%s", sentence(err))
	}
	*target = whole
	return nil
}

// texts decodes a map of strings.
func texts(target *map[string]string, value cty.Value, at hcl.Range, tag *tag) hcl.Diagnostics {
	converted, err := convert.Convert(value, cty.Map(cty.String))
	if err != nil {
		return invalid(at, tag, "A map of strings is required here, such as { name = \"value\" }.")
	}
	all := make(map[string]string, converted.LengthInt())
	for name, text := range converted.AsValueMap() {
		if text.IsNull() {
			return invalid(at, tag, "%q has no value.", name)
		}
		all[name] = text.AsString()
	}
	*target = all
	return nil
}

// textsOf returns the elements of a list, tuple or set as strings. Package convert would take quadratic time.
func textsOf(value cty.Value) ([]cty.Value, bool) {
	if t := value.Type(); !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		return nil, false
	}
	texts := make([]cty.Value, 0, value.LengthInt())
	for it := value.ElementIterator(); it.Next(); {
		_, element := it.Element()
		text, err := convert.Convert(element, cty.String)
		if err != nil {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

// list decodes a list of strings, each with parse.
func list[T any](
	target *[]item[T], value cty.Value, at hcl.Range, elements []hcl.Range, tag *tag, parse func(string) (T, error),
) hcl.Diagnostics {
	texts, ok := textsOf(value)
	if !ok {
		return invalid(at, tag, "A list of strings is required here, such as [\"…\", \"…\"].")
	}
	if len(texts) > maxElements {
		return invalid(at, tag, "This list has %d elements. At most %d are possible.", len(texts), maxElements)
	}
	if len(elements) != len(texts) {
		elements = slices.Repeat([]hcl.Range{at}, len(texts))
	}
	var diags hcl.Diagnostics
	parsed := make([]item[T], 0, len(texts))
	for i, text := range texts {
		if text.IsNull() {
			diags = append(diags, invalid(elements[i], tag, "An element of this list has no value.")...)
			continue
		}
		one, err := parse(text.AsString())
		if err != nil {
			diags = append(diags, invalid(elements[i], tag, "%s", sentence(err))...)
			continue
		}
		parsed = append(parsed, item[T]{one, elements[i]})
	}
	*target = parsed
	return diags
}

// boolHint returns the correction for a bool.
func boolHint(name string, value cty.Value) string {
	if isText(value) {
		switch strings.ToLower(value.AsString()) {
		case "yes", "on", "enabled", "y":
			return "Write " + name + " = true."
		case "no", "off", "disabled", "n":
			return "Write " + name + " = false."
		}
	}
	return "Write true or false."
}
