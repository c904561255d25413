package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// languageBlocks are the blocks that provide values for all others.
type languageBlocks struct {
	Node      *nodeBlock       `hcl:"node,block"`
	Variables []*variableBlock `hcl:"variable,block"`
	Locals    []*localsBlock   `hcl:"locals,block"`
}

// nodeBlock is the `node` block.
type nodeBlock struct {
	At   hcl.Range      `hcl:",def_range"`
	Name *hcl.Attribute `hcl:"name,optional" unset:"hostname()"`
}

// localsBlock is a `locals` block: its attributes have arbitrary names.
type localsBlock struct {
	At     hcl.Range `hcl:",def_range"`
	Values hcl.Body  `hcl:",remain"`
}

// node evaluates this node's name into the object "node" of the context.
func (l *loader) node(block *nodeBlock) string {
	name := l.nodeName(block)
	l.context.Variables["node"] = cty.ObjectVal(map[string]cty.Value{"name": name})
	if !isText(name) {
		return ""
	}
	return name.AsString()
}

func (l *loader) nodeName(block *nodeBlock) cty.Value {
	if l.options.Node != "" {
		return cty.StringVal(l.options.Node)
	}
	if block == nil || block.Name == nil {
		name, err := l.context.Functions["hostname"].Call(nil)
		if err != nil {
			l.diags = append(l.diags, problem(hcl.Range{}, "Unknown node name",
				"%s. Use --node to set it.", err))
			return cty.UnknownVal(cty.String)
		}
		return name
	}
	expr := block.Name.Expr
	name, diags := evaluate(expr, l.context, &l.source.budget)
	l.diags = append(l.diags, diags...)
	if diags.HasErrors() {
		return cty.UnknownVal(cty.String)
	}
	name, err := convert.Convert(name, cty.String)
	if err != nil || !isText(name) || name.AsString() == "" {
		if err == nil && !name.IsKnown() {
			return name
		}
		l.diags = append(l.diags, problem(expr.Range(), "Invalid node name", "A node name is a non-empty string."))
		return cty.UnknownVal(cty.String)
	}
	return name
}
