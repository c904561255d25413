package config

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// locals evaluates all local values into the object "local" of the context, in the order of their dependencies, and
// returns their expressions.
func (l *loader) locals(blocks []*localsBlock) map[string]hcl.Expression {
	g := localGraph{loader: l, attributes: map[string]*hcl.Attribute{}, values: map[string]cty.Value{}}
	for _, block := range blocks {
		attributes, diags := block.Values.JustAttributes()
		l.diags = append(l.diags, diags...)
		for name, attribute := range attributes {
			if before, duplicate := g.attributes[name]; duplicate {
				l.diags = append(l.diags, problem(attribute.NameRange, "Duplicate local value",
					"There is already a local value %q at %s. Remove one of them.", name, where(before.NameRange)))
				continue
			}
			g.attributes[name] = attribute
			g.names = append(g.names, name)
		}
	}
	slices.SortFunc(g.names, func(a, b string) int { // for messages that do not depend on the order of a map
		return strings.Compare(a, b)
	})
	l.localNames = g.names
	expressions := map[string]hcl.Expression{}
	for _, name := range g.names {
		g.evaluate(name, nil)
		expressions[name] = g.attributes[name].Expr
	}
	l.context.Variables["local"] = cty.ObjectVal(g.values)
	return expressions
}

// localGraph evaluates local values in the order of their dependencies.
type localGraph struct {
	loader     *loader
	attributes map[string]*hcl.Attribute
	names      []string
	values     map[string]cty.Value
	fails      int
}

// maxLocalFails is the number of invalid local values after which evaluation stops.
const maxLocalFails = 100

// evaluate evaluates a local value after its dependencies; path is the chain of references to it.
func (g *localGraph) evaluate(name string, path []string) {
	if _, done := g.values[name]; done {
		return
	}
	attribute := g.attributes[name]
	if i := slices.Index(path, name); i >= 0 {
		circle := append(slices.Clone(path[i:]), name)
		g.loader.diags = append(g.loader.diags, problem(attribute.NameRange, "Circular local values",
			"Each of these depends on the next: %s. Break the cycle.", strings.Join(circle, " → ")))
		g.values[name] = cty.DynamicVal
		return
	}
	if len(path) > maxDepth {
		g.loader.diags = append(g.loader.diags, problem(attribute.NameRange, "Too deep",
			"Local values depend on each other in a chain of more than %d.", maxDepth))
		g.values[name] = cty.DynamicVal
		return
	}
	path = append(path, name)
	needed, computed := localNames(attribute.Expr)
	for _, other := range needed {
		if _, exists := g.attributes[other]; exists {
			g.evaluate(other, path)
		}
	}
	if _, done := g.values[name]; done {
		return // part of a cycle
	}
	if computed {
		needed = g.names
	}
	g.values[name] = g.value(attribute, needed)
}

// value evaluates a local value with its dependencies.
func (g *localGraph) value(attribute *hcl.Attribute, needed []string) cty.Value {
	budget := &g.loader.source.budget
	if g.fails >= maxLocalFails || !budget.spend(len(needed), attribute.Expr.Range()) {
		return cty.DynamicVal
	}
	context := g.loader.context.NewChild()
	context.Variables = map[string]cty.Value{"local": cty.ObjectVal(g.known(needed))}
	value, diags := evaluate(attribute.Expr, context, budget)
	if !diags.HasErrors() {
		var faults hcl.Diagnostics
		var bytes int
		value, bytes, faults = budget.measure(value, attribute.Expr.Range())
		diags = append(diags, faults...)
		budget.keep(bytes)
	}
	budget.passing = 0
	// The message is formatted while the mentioned values are available.
	g.loader.diags = append(g.loader.diags, g.loader.explain(diags, context)...)
	if diags.HasErrors() {
		g.fails++
		return cty.DynamicVal
	}
	return value
}

// known returns some local values; those not yet evaluated are unknown.
func (g *localGraph) known(needed []string) map[string]cty.Value {
	values := make(map[string]cty.Value, len(needed))
	for _, name := range needed {
		if value, done := g.values[name]; done {
			values[name] = value
		} else if _, exists := g.attributes[name]; exists {
			values[name] = cty.DynamicVal
		}
	}
	return values
}

// localNames returns the local values that an expression references, and whether it computes a name and may need any.
func localNames(expr hcl.Expression) (names []string, computed bool) {
	for _, traversal := range expr.Variables() {
		if traversal.RootName() != "local" {
			continue
		}
		if len(traversal) < 2 {
			computed = true
			continue
		}
		switch step := traversal[1].(type) {
		case hcl.TraverseAttr:
			names = append(names, step.Name)
		case hcl.TraverseIndex:
			if isText(step.Key) {
				names = append(names, step.Key.AsString())
			}
		default:
			computed = true
		}
	}
	return names, computed
}
