package config

import (
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// cost is the cost of a function in units of the budget, without reading its arguments once. Arguments may be unknown.
type cost func(args []cty.Value) int

// costs lists the functions whose result or running time grows faster than their arguments.
var costs = map[string]cost{
	"format":     formatCost,
	"formatlist": formatListCost,
	"indent": func(args []cty.Value) int {
		return whole(args[0]) * (1 + strings.Count(text(args[1]), "\n")) / bytesOfUnit
	},
	"join": func(args []cty.Value) int {
		units := 0
		for _, list := range args[1:] {
			units += elements(list) * (1 + len(text(args[0]))/bytesOfUnit)
		}
		return units
	},
	"replace": func(args []cty.Value) int {
		return strings.Count(text(args[0]), text(args[1])) * len(text(args[2])) / bytesOfUnit
	},
	"split": func(args []cty.Value) int { return stepUnits * strings.Count(text(args[1]), text(args[0])) },

	"regex":        func(args []cty.Value) int { return regexCost(args[0], args[1], 1) },
	"regexall":     func(args []cty.Value) int { return regexCost(args[0], args[1], len(text(args[1]))) },
	"regexreplace": func(args []cty.Value) int { return regexCost(args[1], args[0], len(text(args[0])+text(args[2]))) },

	"csvdecode": func(args []cty.Value) int {
		return rowUnits*signs(text(args[0]), "\n") + 2*stepUnits*signs(text(args[0]), ",")
	},
	"jsondecode": func(args []cty.Value) int { return jsonUnits*signs(text(args[0]), ",:[{") + numerals(text(args[0])) },
	"parseint":   func(args []cty.Value) int { return square(len(text(args[0])) / bytesOfUnit) },

	"distinct":   distinctCost,
	"setproduct": productCost,
	"trim":       func(args []cty.Value) int { return len(text(args[0])) * len(text(args[1])) / bytesOfUnit },

	"strlen": perByte, "strrev": perByte, "substr": perByte, "title": perByte,
}

// withCost makes a function spend its cost before it runs.
func withCost(f function.Function, c cost, b *budget) function.Function {
	return function.New(&function.Spec{
		Params:   f.Params(),
		VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if units := c(args); units < 0 || units > b.left() {
				return cty.NilType, errTooMuch
			} else {
				b.units += units
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

var errTooMuch = function.NewArgErrorf(0, "this would take too much time or memory")

// text returns a string argument, or "".
func text(value cty.Value) string {
	if value.Type() != cty.String || !value.IsKnown() || value.IsNull() {
		return ""
	}
	return value.AsString()
}

// whole returns an integer argument, limited so that products do not overflow.
func whole(value cty.Value) int {
	if value.Type() != cty.Number || !value.IsKnown() || value.IsNull() {
		return 0
	}
	n, _ := value.AsBigFloat().Int64()
	return int(min(max(n, 0), maxUnits*bytesOfUnit*2))
}

// elements returns the number of elements of an argument.
func elements(value cty.Value) int {
	if !value.IsKnown() || value.IsNull() || !value.CanIterateElements() {
		return 0
	}
	return value.LengthInt()
}

// signs counts the occurrences of some bytes in a text.
func signs(text, signs string) int {
	n := 0
	for i := range len(text) {
		if strings.IndexByte(signs, text[i]) >= 0 {
			n++
		}
	}
	return n
}

func perByte(args []cty.Value) int { return len(text(args[0])) }

func square(n int) int { return n * n }

// numerals is the cost of the longest number in a text: parsing takes quadratic time.
func numerals(text string) int {
	longest, run := 0, 0
	for i := range len(text) {
		if run++; strings.IndexByte("0123456789.eE+-", text[i]) < 0 {
			run = 0
		}
		longest = max(longest, run)
	}
	return square(longest / bytesOfUnit)
}

// formatCost limits the output of format: for each verb its width or the longest argument.
func formatCost(args []cty.Value) int {
	longest := 0
	for _, arg := range args[1:] {
		m := meter{most: maxUnits}
		m.measure(arg)
		longest = max(longest, m.units)
	}
	verbs, width := verbsOf(text(args[0]))
	return verbs * (longest + width/bytesOfUnit)
}

func formatListCost(args []cty.Value) int {
	longest, rows := 0, 1
	for _, arg := range args[1:] {
		m := meter{most: maxUnits}
		m.measure(arg)
		longest, rows = max(longest, m.units), max(rows, elements(arg))
	}
	verbs, width := verbsOf(text(args[0]))
	return verbs*(longest+rows*width/bytesOfUnit) + rows*stepUnits
}

// verbsOf counts the verbs of a format and finds the largest number in it: a width or a precision.
func verbsOf(format string) (verbs, largest int) {
	verbs = strings.Count(format, "%")
	for _, digits := range strings.FieldsFunc(format, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.Atoi(digits)
		if err != nil {
			n = maxUnits
		}
		largest = max(largest, min(n, maxUnits*bytesOfUnit))
	}
	if verbs == 0 {
		return 0, 0
	}
	return verbs, largest
}

// regexCost limits the steps of a match: each instruction of the program at each byte, for each start of a match.
func regexCost(pattern, against cty.Value, times int) int {
	parsed, err := syntax.Parse(text(pattern), syntax.Perl)
	if err != nil {
		return 0 // the function reports the error
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	length := float64(len(text(against)))
	units := float64(len(program.Inst)) * (1 + length*(1+float64(times)/64)/bytesOfUnit)
	return int(min(units, 2*maxUnits))
}

// distinctCost limits the comparisons of distinct: each element with each different one.
func distinctCost(args []cty.Value) int {
	n := elements(args[0])
	if n == 0 {
		return 0
	}
	different := map[string]bool{}
	for it := args[0].ElementIterator(); it.Next(); {
		_, element := it.Element()
		if element.Type() != cty.String || !element.IsKnown() || element.IsNull() {
			return n * n / 2
		}
		different[element.AsString()] = true
	}
	return n * (1 + len(different)/8)
}

// productCost is the size of setproduct's result.
func productCost(args []cty.Value) int {
	product := 1
	for _, arg := range args {
		if product *= max(1, elements(arg)); product > maxUnits {
			return product
		}
	}
	return product * (len(args) + 1) * productUnits
}
