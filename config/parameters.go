package config

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// Other packages describe parts of the language as structs of plain values with the decoder's tags (see tag): the health
// check kinds. The decoder derives a decode struct with an attr for each field, so that positions and defaults are
// known, and then copies its values. The types of fields are
//
//	string, bool, int, time.Duration, netip.Addr, secret.Text
//	healthcheck.File         a string; relative to the configuration's directory
//	[]string
//	[]healthcheck.Header     a map of strings
//	[]T                      a list of strings, where *T is a textParser
//	*struct                  a block
type mirror struct {
	decode reflect.Type // the decode struct
	fields []mirrorField
}

// mirrorField is a field of both structs. In the decode struct, fields follow At in the mirror's order.
type mirrorField struct {
	name  string  // of the attribute or block
	path  []int   // in the plain struct
	block *mirror // nil: an attribute
}

// textParser parses an element of a list. The error is a sentence without final period.
type textParser interface{ Parse(text string) error }

var mirrors sync.Map // reflect.Type of a plain struct to *mirror

// mirrorOf describes the struct of plain values t.
func mirrorOf(t reflect.Type) *mirror {
	if known, ok := mirrors.Load(t); ok {
		return known.(*mirror)
	}
	m := &mirror{}
	fields := []reflect.StructField{{Name: "At", Type: reflect.TypeFor[hcl.Range](), Tag: `hcl:",def_range"`}}
	for _, f := range reflect.VisibleFields(t) {
		text, ok := f.Tag.Lookup("hcl")
		if !ok {
			continue
		}
		name, kind, _ := strings.Cut(text, ",")
		one := mirrorField{name: name, path: f.Index}
		decode := reflect.StructField{Name: f.Name, Tag: f.Tag}
		if kind == "block" {
			one.block = mirrorOf(f.Type.Elem())
			decode.Type = reflect.PointerTo(one.block.decode)
		} else {
			decode.Type = attrFor(f.Type)
		}
		m.fields, fields = append(m.fields, one), append(fields, decode)
	}
	m.decode = reflect.StructOf(fields)
	mirrors.Store(t, m)
	return m
}

// attrFor returns the attr type of a plain field.
func attrFor(t reflect.Type) reflect.Type {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return reflect.TypeFor[attr[time.Duration]]()
	case t == reflect.TypeFor[netip.Addr]():
		return reflect.TypeFor[attr[netip.Addr]]()
	case t == reflect.TypeFor[secret.Text]():
		return reflect.TypeFor[attr[secret.Text]]()
	case t == reflect.TypeFor[[]healthcheck.Header]():
		return reflect.TypeFor[attr[map[string]string]]()
	case t == reflect.TypeFor[[]string](), t.Kind() == reflect.Slice && reflect.PointerTo(t.Elem()).Implements(reflect.TypeFor[textParser]()):
		return reflect.TypeFor[attr[[]item[string]]]()
	case t.Kind() == reflect.String:
		return reflect.TypeFor[attr[string]]()
	case t.Kind() == reflect.Int:
		return reflect.TypeFor[attr[int64]]()
	case t.Kind() == reflect.Bool:
		return reflect.TypeFor[attr[bool]]()
	}
	panic(fmt.Sprintf("no way to decode the type %s", t))
}

// copy copies decoded values to the plain struct. Fields that were not written and have no default in their tag are not
// changed.
func (m *mirror) copy(from, to reflect.Value, directory string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for i, f := range m.fields {
		decoded, plain := from.Field(i+1), to.FieldByIndex(f.path)
		if f.block != nil {
			if !decoded.IsNil() {
				if plain.IsNil() {
					plain.Set(reflect.New(plain.Type().Elem()))
				}
				diags = append(diags, f.block.copy(decoded.Elem(), plain.Elem(), directory)...)
			}
			continue
		}
		switch a := decoded.Addr().Interface().(type) {
		case *attr[string]:
			value := a.value
			if plain.Type() == reflect.TypeFor[healthcheck.File]() {
				value = relativeTo(directory, value)
			}
			if a.isSet() || value != "" {
				plain.SetString(value)
			}
		case *attr[secret.Text]:
			plain.SetString(a.value.Reveal())
		case *attr[bool]:
			plain.SetBool(a.value)
		case *attr[int64]:
			plain.SetInt(a.value)
		case *attr[time.Duration]:
			plain.SetInt(int64(a.value))
		case *attr[netip.Addr]:
			plain.Set(reflect.ValueOf(a.value))
		case *attr[map[string]string]:
			if a.isSet() {
				plain.Set(reflect.ValueOf(headersOf(a.value)))
			}
		case *attr[[]item[string]]:
			if a.isSet() {
				diags = append(diags, copyList(a, plain, f.name)...)
			}
		}
	}
	return diags
}

func headersOf(values map[string]string) []healthcheck.Header {
	var all []healthcheck.Header
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, healthcheck.Header{Name: name, Value: secret.Text(values[name])})
	}
	return all
}

// copyList copies a list, parsing each element.
func copyList(from *attr[[]item[string]], to reflect.Value, name string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	all := reflect.MakeSlice(to.Type(), len(from.value), len(from.value))
	for i, element := range from.value {
		p, ok := all.Index(i).Addr().Interface().(textParser)
		if !ok {
			all.Index(i).SetString(element.value)
		} else if err := p.Parse(element.value); err != nil {
			diags = append(diags, problem(element.at, "Invalid "+name, "%s", sentence(err)))
		}
	}
	if diags.HasErrors() {
		from.state = broken
	}
	to.Set(all)
	return diags
}

// find returns the position of a setting such as "tls.server_name", and whether its value is valid. An absent block has
// the position of the enclosing one.
func (m *mirror) find(decoded reflect.Value, setting string, element int) (at hcl.Range, ok bool) {
	first, rest, _ := strings.Cut(setting, ".")
	for i, f := range m.fields {
		if f.name != first {
			continue
		}
		value := decoded.Field(i + 1)
		if f.block == nil {
			return value.Addr().Interface().(field).location(element)
		}
		if !value.IsNil() {
			return f.block.find(value.Elem(), rest, element)
		}
	}
	return decoded.Field(0).Interface().(hcl.Range), true
}

// location returns the position of the value or an element of it, and whether it is valid.
func (a *attr[T]) location(element int) (at hcl.Range, ok bool) {
	if list, isList := any(&a.value).(*[]item[string]); isList && element < len(*list) {
		return (*list)[element].at, a.isOK()
	}
	return a.at(), a.isOK()
}

// relativeTo resolves a file's name relative to a directory, unless it is absolute or empty.
func relativeTo(directory, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(directory, path)
}
