package config

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// environmentPrefix is the prefix of environment variables with values of variables.
const environmentPrefix = "LVS_HA_VAR_"

// variableBlock is a `variable` block.
type variableBlock struct {
	At          hcl.Range          `hcl:",def_range"`
	Name        attr[string]       `hcl:"name,label"`
	Type        *hcl.Attribute     `hcl:"type,optional" unset:"that of default, else string"`
	Default     *hcl.Attribute     `hcl:"default,optional" unset:"none: a value has to be given"`
	Description attr[string]       `hcl:"description,optional" unset:"none"`
	Sensitive   attr[bool]         `hcl:"sensitive,optional" default:"false"`
	Validations []*validationBlock `hcl:"validation,block"`
}

// validationBlock is a `validation` block within a `variable` block.
type validationBlock struct {
	At           hcl.Range      `hcl:",def_range"`
	Condition    *hcl.Attribute `hcl:"condition,attr"`
	ErrorMessage attr[string]   `hcl:"error_message,attr"`
}

// assignment is a value assigned to a variable, with its source.
type assignment struct {
	value cty.Value
	text  string // from the environment or the command line, not parsed yet
	from  string // "" for a value from a file
	at    hcl.Range
}

// variables evaluates all variables into the object "var" of the context and returns the expressions of their defaults.
func (l *loader) variables(blocks []*variableBlock) map[string]hcl.Expression {
	assigned := l.assignments(blocks)
	values, defaults := map[string]cty.Value{}, map[string]hcl.Expression{}
	for _, block := range blocks {
		name := block.Name.value
		if _, duplicate := values[name]; duplicate {
			l.diags = append(l.diags, problem(block.Name.at(), "Duplicate variable",
				"There is already a variable %q. Remove one of them.", name))
			continue
		}
		if !hclsyntax.ValidIdentifier(name) {
			l.diags = append(l.diags, problem(block.Name.at(), "Invalid variable name",
				"A name begins with a letter and has only letters, digits, underscores and hyphens."))
		}
		if block.Default != nil {
			defaults[name] = block.Default.Expr
		}
		if len(l.diags) > maxFindings {
			values[name] = cty.DynamicVal
			continue
		}
		values[name] = l.variable(block, assigned[name])
		if block.Sensitive.value {
			l.secrets.add(values[name])
			if block.Default != nil {
				(&secretFinder{found: &l.secrets, seen: map[hcl.Expression]bool{}}).expression(block.Default.Expr)
			}
		}
	}
	l.context.Variables["var"] = cty.ObjectVal(values)
	for _, block := range blocks {
		l.validate(block, values[block.Name.value])
	}
	return defaults
}

// variable evaluates one variable; the result is unknown if there was an error.
func (l *loader) variable(block *variableBlock, given *assignment) cty.Value {
	value, at := cty.NilVal, block.At
	if block.Default != nil {
		var diags hcl.Diagnostics
		// Variables are evaluated first: a default cannot reference other values.
		value, diags = evaluate(block.Default.Expr, &hcl.EvalContext{Functions: l.context.Functions}, &l.source.budget)
		l.diags = append(l.diags, diags...)
		if diags.HasErrors() {
			return cty.DynamicVal
		}
		at = block.Default.Expr.Range()
	}
	want := cty.String
	switch {
	case block.Type != nil:
		var diags hcl.Diagnostics
		want, diags = typeexpr.TypeConstraint(block.Type.Expr)
		l.diags = append(l.diags, diags...)
		if diags.HasErrors() {
			return cty.DynamicVal
		}
	case value != cty.NilVal && !value.IsNull():
		want = value.Type()
		if !want.IsPrimitiveType() {
			want = cty.DynamicPseudoType
		}
	}
	from := "The default"
	if given != nil {
		var ok bool
		if value, ok = l.parseAssignment(given, want); !ok {
			return cty.DynamicVal
		}
		at, from = given.at, given.from
	}
	if value == cty.NilVal {
		l.diags = append(l.diags, problem(block.Name.at(), "No value for a variable",
			"The variable %q has no default. Give a value with --var %s=…, in a file named by --var-file, or in the environment as %s%s.",
			block.Name.value, block.Name.value, environmentPrefix, block.Name.value))
		return cty.DynamicVal
	}
	value, bytes, faults := l.source.budget.measure(value, at)
	l.source.budget.keep(bytes)
	if l.diags = append(l.diags, faults...); !l.source.budget.spend(unifyUnits(asList(value)), at) || faults.HasErrors() {
		return cty.DynamicVal
	}
	if want.IsListType() || want.IsSetType() {
		value = asList(value)
	}
	converted, err := convert.Convert(value, want)
	if err != nil {
		l.diags = append(l.diags, problem(at, "Invalid value for a variable",
			"%s does not fit the type of the variable %q: %s.", from, block.Name.value, err))
		return cty.DynamicVal
	}
	return converted
}

// parseAssignment returns the value of an assignment. A text is used unchanged if the variable is a string, a number or
// a bool, and parsed as an expression if it is a list, a map or an object.
func (l *loader) parseAssignment(given *assignment, want cty.Type) (cty.Value, bool) {
	if given.from == "" {
		given.from = "This value"
		return given.value, true
	}
	if want.IsPrimitiveType() {
		return cty.StringVal(given.text), true
	}
	name := "<" + given.from + ">"
	l.source.files[name] = &sourceFile{name: name, text: []byte(given.text)}
	if faults := scan([]byte(given.text), name).faults; len(faults) > 0 {
		l.diags = append(l.diags, faults...)
		return cty.DynamicVal, false
	}
	expr, diags := hclsyntax.ParseExpression([]byte(given.text), name, hcl.InitialPos)
	if !diags.HasErrors() {
		var valueDiags hcl.Diagnostics
		l.source.budget.limit(expr)
		given.value, valueDiags = evaluate(expr, nil, &l.source.budget)
		given.at = expr.Range()
		diags = append(diags, valueDiags...)
	}
	l.diags = append(l.diags, diags...)
	return given.value, !diags.HasErrors()
}

// validate evaluates the conditions of a variable.
func (l *loader) validate(block *variableBlock, value cty.Value) {
	if value == cty.NilVal || !value.IsWhollyKnown() {
		return
	}
	for _, v := range block.Validations {
		if v.Condition == nil {
			continue
		}
		result, diags := evaluate(v.Condition.Expr, l.context, &l.source.budget)
		l.diags = append(l.diags, diags...)
		if diags.HasErrors() {
			continue
		}
		result, err := convert.Convert(result, cty.Bool)
		if err != nil || result.IsNull() || !result.IsKnown() {
			l.diags = append(l.diags, problem(v.Condition.Expr.Range(), "Invalid condition",
				"The condition must be true or false."))
			continue
		}
		if result.False() {
			l.diags = append(l.diags, problem(block.Name.at(), "Invalid value for a variable",
				"%s (variable %q)", v.ErrorMessage.value, block.Name.value))
		}
	}
}

// assignments collects the values assigned to variables; later sources override earlier ones: files, environment,
// options.
func (l *loader) assignments(blocks []*variableBlock) map[string]*assignment {
	var known []string
	for _, block := range blocks {
		known = append(known, block.Name.value)
	}
	given := map[string]*assignment{}
	for _, name := range l.options.VarFiles {
		l.variableFile(name, known, given)
	}
	for _, name := range known {
		if text, ok := l.options.LookupEnv(environmentPrefix + name); ok {
			given[name] = &assignment{text: text, from: environmentPrefix + name}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.options.Vars)) {
		if !slices.Contains(known, name) {
			l.diags = append(l.diags, problem(hcl.Range{}, "Unknown variable",
				"--var %s: the configuration has no variable of that name.%s", name, didYouMean(name, known)))
			continue
		}
		given[name] = &assignment{text: l.options.Vars[name], from: "--var " + name}
	}
	return given
}

// variableFile reads the assignments of one file.
func (l *loader) variableFile(name string, known []string, given map[string]*assignment) {
	body, diags := l.source.variableFile(name)
	l.diags = append(l.diags, diags...)
	if diags.HasErrors() {
		return
	}
	attributes, diags := body.JustAttributes()
	l.diags = append(l.diags, diags...)
	for _, attribute := range attributes {
		if !slices.Contains(known, attribute.Name) {
			l.diags = append(l.diags, problem(attribute.NameRange, "Unknown variable",
				"The configuration has no variable %q.%s", attribute.Name, didYouMean(attribute.Name, known)))
			continue
		}
		value, diags := evaluate(attribute.Expr, nil, &l.source.budget)
		l.diags = append(l.diags, diags...)
		if !diags.HasErrors() {
			given[attribute.Name] = &assignment{value: value, at: attribute.Expr.Range()}
		}
	}
}
