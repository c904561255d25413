package config

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// locals evaluates all local values into the object "local" of the context, each after those that it needs, and
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
	slices.SortFunc(g.names, func(a, b string) int { // so that messages do not depend on the order of a map
		return strings.Compare(a, b)
	})
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
	size       int
}

// maxLocalSize bounds the texts and elements of all local values together, so that values that double each other end
// in a message and not in the memory of the machine.
const maxLocalSize = 16 << 20

// evaluate evaluates a local value after all that it needs; path is how it was reached.
func (g *localGraph) evaluate(name string, path []string) {
	if _, done := g.values[name]; done {
		return
	}
	attribute := g.attributes[name]
	if i := slices.Index(path, name); i >= 0 {
		circle := append(slices.Clone(path[i:]), name)
		g.loader.diags = append(g.loader.diags, problem(attribute.NameRange, "Local values in a circle",
			"Each of these needs the next: %s. One of them must not need the others.", strings.Join(circle, " → ")))
		g.values[name] = cty.DynamicVal
		return
	}
	if len(path) > maxDepth {
		g.loader.diags = append(g.loader.diags, problem(attribute.NameRange, "Too deep",
			"More than %d local values need each other in a row.", maxDepth))
		g.values[name] = cty.DynamicVal
		return
	}
	path = append(path, name)
	for _, needed := range localNames(attribute.Expr) {
		if _, exists := g.attributes[needed]; exists {
			g.evaluate(needed, path)
		}
	}
	if _, done := g.values[name]; done {
		return // it was found in a circle
	}
	g.values[name] = g.value(attribute)
}

func (g *localGraph) value(attribute *hcl.Attribute) cty.Value {
	context := g.loader.context.NewChild()
	context.Variables = map[string]cty.Value{"local": cty.ObjectVal(g.known())}
	value, diags := attribute.Expr.Value(context)
	// The message is made while the values that it speaks of are at hand.
	g.loader.diags = append(g.loader.diags, explain(diags, context, g.loader.source.files)...)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	if g.size += valueSize(value); g.size > maxLocalSize {
		g.loader.diags = append(g.loader.diags, problem(attribute.Expr.Range(), "Local values too large",
			"The local values would take more than %d MiB.", maxLocalSize>>20))
		return cty.DynamicVal
	}
	return value
}

// known returns all local values, those that are not evaluated yet as unknown.
func (g *localGraph) known() map[string]cty.Value {
	values := make(map[string]cty.Value, len(g.names))
	for _, name := range g.names {
		values[name] = cty.DynamicVal
		if value, done := g.values[name]; done {
			values[name] = value
		}
	}
	return values
}

// localNames returns the local values that an expression needs.
func localNames(expr hcl.Expression) []string {
	var names []string
	for _, traversal := range expr.Variables() {
		if traversal.RootName() != "local" || len(traversal) < 2 {
			continue
		}
		switch step := traversal[1].(type) {
		case hcl.TraverseAttr:
			names = append(names, step.Name)
		case hcl.TraverseIndex:
			if isText(step.Key) {
				names = append(names, step.Key.AsString())
			}
		}
	}
	return names
}

// valueSize counts the bytes of texts and the elements of a value.
func valueSize(value cty.Value) int {
	size := 0
	_ = cty.Walk(value, func(_ cty.Path, v cty.Value) (bool, error) {
		size++
		if isText(v) {
			size += len(v.AsString())
		}
		return size < maxLocalSize, nil
	})
	return size
}
