package config

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// A configuration must not keep a director busy or fill its memory, whatever is in it: loops within loops, texts that
// double each other. What all its expressions may cost together is counted in units of about 100 ns or 4 bytes of text. A count
// gives the same answer on every machine, however busy, where a deadline would refuse a good file now and then.
const (
	maxUnits     = 10_000_000
	stepUnits    = 4        // of an iteration, and of a node that it evaluates
	errorUnits   = 1_000    // of an error in an iteration
	blockUnits   = 60       // of a block that a dynamic block makes
	convertTimes = 8        // as much as reading a value
	setUnits     = 150      // of an element of a set: they are sorted each time
	bytesOfUnit  = 4        // of a text
	maxDecoded   = 80 << 20 // bytes of decode structs; 40,000 real servers with a check each need 44 MB
	dynamicBytes = 1_500    // of a block that a dynamic block makes
	blockBytes   = 200      // of a decode struct besides its fields
	maxLoopFails = 20       // errors of one loop
	maxExponent  = 4_096    // binary, of a number: it is written out with all its digits
	maxNumerals  = 1_000    // of a text that looks like a number: reading one costs the square of its length
)

// budget counts what expressions and blocks cost.
type budget struct {
	units    int
	decoded  int
	stopped  bool
	exceeded hcl.Diagnostics

	functions map[string]function.Function
}

// spend counts units and reports whether there were any left.
func (b *budget) spend(units int, at hcl.Range) bool {
	if b.stopped {
		return false
	}
	if b.units += units; b.units > maxUnits || units < 0 {
		b.stop(problem(at, "Too much to evaluate",
			"Together, the expressions of this configuration take too much time or memory. Loop over fewer elements, or write out the blocks that they generate."))
		return false
	}
	return true
}

// left is how many units there are.
func (b *budget) left() int {
	if b.stopped {
		return 0
	}
	return maxUnits - b.units
}

// stop ends the evaluation: from now on every costly expression is unknown.
func (b *budget) stop(diag *hcl.Diagnostic) {
	b.stopped = true
	b.exceeded = append(b.exceeded, diag)
}

// decode counts the bytes of a decode struct.
func (b *budget) decode(size uintptr, at hcl.Range) bool {
	if b.stopped {
		return false
	}
	if b.decoded += int(size); b.decoded > maxDecoded {
		b.stop(problem(at, "Too many blocks",
			"The blocks of this configuration take more than %d MiB. A director is meant for about ten thousand real servers at most.", maxDecoded>>20))
		return false
	}
	return true
}

// check counts the size of a value as everything that walks it sees it: what stands in it twice counts twice.
func (b *budget) check(value cty.Value, at hcl.Range) (cty.Value, hcl.Diagnostics) {
	if b.stopped {
		return cty.DynamicVal, nil
	}
	m := meter{most: b.left()}
	m.measure(value)
	if m.fault != "" {
		return cty.DynamicVal, hcl.Diagnostics{problem(at, "Number too large", "%s", m.fault)}
	}
	if !b.spend(m.units, at) {
		return cty.DynamicVal, nil
	}
	return value, nil
}

// meter measures a value.
type meter struct {
	units int
	most  int
	fault string
}

func (m *meter) measure(value cty.Value) {
	m.units++
	if m.units > m.most || m.fault != "" || !value.IsKnown() || value.IsNull() {
		return
	}
	switch t := value.Type(); {
	case t == cty.String:
		text := value.AsString()
		m.units += len(text) / bytesOfUnit
		if len(text) > maxNumerals && strings.Trim(text, "0123456789.eE+-") == "" {
			m.fault = "This string of digits is too long for a number."
		}
	case t == cty.Number:
		number := value.AsBigFloat()
		if exponent := number.MantExp(nil); exponent > maxExponent || exponent < -maxExponent || number.IsInf() {
			m.fault = "This number has more than a thousand digits."
		}
	case value.CanIterateElements():
		if t.IsSetType() {
			m.units += setUnits * value.LengthInt()
		}
		for it := value.ElementIterator(); it.Next(); {
			key, element := it.Element()
			if key.Type() == cty.String && !t.IsSetType() {
				m.units += len(key.AsString()) / bytesOfUnit
			}
			m.measure(element)
			if m.units > m.most || m.fault != "" {
				return
			}
		}
	}
}

// asList makes a list of a tuple whose elements have one type. Package convert finds that out with the square of their
// number.
func asList(value cty.Value) cty.Value {
	t := value.Type()
	if !t.IsTupleType() || t.Length() < 2 || !value.IsKnown() || value.IsNull() {
		return value
	}
	types := t.TupleElementTypes()
	for _, other := range types[1:] {
		if !other.Equals(types[0]) {
			return value
		}
	}
	if types[0] == cty.DynamicPseudoType {
		return value
	}
	return cty.ListVal(value.AsValueSlice())
}

// unifyUnits is the cost of finding one type for the elements of a value: each is compared with each.
func unifyUnits(value cty.Value) int {
	switch t := value.Type(); {
	case t.IsTupleType():
		return square(t.Length()) / 8
	case t.IsObjectType():
		return square(len(t.AttributeTypes())) / 8
	}
	return 0
}

// unifies reports whether a function takes an argument as a collection, whose elements are of one type.
func (b *budget) unifies(name string, i int) bool {
	switch name {
	case "tolist", "toset", "tomap":
		return true
	}
	f, ok := b.functions[name]
	if !ok {
		return false
	}
	if params := f.Params(); i < len(params) {
		return params[i].Type.IsCollectionType()
	}
	return f.VarParam() != nil && f.VarParam().Type.IsCollectionType()
}
