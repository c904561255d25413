package config

import (
	"cmp"
	"maps"
	"os"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// NodeNames returns the names of the nodes for which the configuration at path has values, sorted: the keys of objects that
// are indexed with node.name, directly, with lookup() or as a local value, and texts that are compared with node.name.
func NodeNames(path string, o Options) ([]string, *Diagnostics) {
	defer limitMemory()()
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	l := &loader{
		options: o,
		source:  source{disk: newDisk(o.Stat, cmp.Or(o.ReadTimeout, readTimeout)), files: map[string]*sourceFile{}},
		secrets: newSecrets(),
	}
	diags := l.source.read(path)
	finder := nodeFinder{locals: map[string]hclsyntax.Expression{}, names: map[string]bool{}}
	if !diags.HasErrors() {
		for _, language := range []bool{true, false} { // local values first
			for part, syntax := range l.source.parsed(language) {
				if part.stream != nil {
					syntax = append(syntax, part.stream.whole()...)
				}
				if diags = append(diags, syntax...); len(diags) > maxFaults {
					break
				}
				finder.body(part.Body, language)
			}
		}
	}
	return slices.Sorted(maps.Keys(finder.names)), &Diagnostics{list: tidy(diags), sources: l.source.files, secrets: l.secrets, isSyntax: true}
}

// nodeFinder searches expressions for names of nodes.
type nodeFinder struct {
	locals map[string]hclsyntax.Expression
	names  map[string]bool
}

func (f *nodeFinder) body(body *hclsyntax.Body, language bool) {
	for _, block := range body.Blocks {
		if language && block.Type == "locals" {
			for name, attribute := range block.Body.Attributes {
				f.locals[name] = attribute.Expr
			}
		}
	}
	_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		switch e := node.(type) {
		case *hclsyntax.IndexExpr:
			if isNodeName(e.Key) {
				f.keys(e.Collection)
			}
		case *hclsyntax.FunctionCallExpr:
			if e.Name == "lookup" && len(e.Args) > 1 && isNodeName(e.Args[1]) {
				f.keys(e.Args[0])
			}
		case *hclsyntax.BinaryOpExpr:
			if e.Op == hclsyntax.OpEqual || e.Op == hclsyntax.OpNotEqual {
				f.compared(e.LHS, e.RHS)
				f.compared(e.RHS, e.LHS)
			}
		}
		return nil
	})
}

// keys adds the keys of an object, or of a local value that is one.
func (f *nodeFinder) keys(expr hclsyntax.Expression) {
	for range maxDepth {
		switch e := bare(expr).(type) {
		case *hclsyntax.ScopeTraversalExpr:
			if len(e.Traversal) != 2 || e.Traversal.RootName() != "local" {
				return
			}
			name, _ := e.Traversal[1].(hcl.TraverseAttr)
			expr = f.locals[name.Name]
		case *hclsyntax.ObjectConsExpr:
			for _, item := range e.Items {
				f.name(item.KeyExpr)
			}
			return
		default:
			return
		}
	}
}

func (f *nodeFinder) compared(a, b hclsyntax.Expression) {
	if isNodeName(a) {
		f.name(b)
	}
}

// name adds the text of an expression, if it is constant.
func (f *nodeFinder) name(expr hclsyntax.Expression) {
	if value, diags := bare(expr).Value(nil); !diags.HasErrors() && isText(value) && value.AsString() != "" {
		f.names[value.AsString()] = true
	}
}

func isNodeName(expr hclsyntax.Expression) bool {
	e, ok := bare(expr).(*hclsyntax.ScopeTraversalExpr)
	if !ok || len(e.Traversal) != 2 || e.Traversal.RootName() != "node" {
		return false
	}
	name, ok := e.Traversal[1].(hcl.TraverseAttr)
	return ok && name.Name == "name"
}

// bare returns an expression without parentheses, and without the counting of its cost.
func bare(expr hclsyntax.Expression) hclsyntax.Expression {
	for {
		switch e := expr.(type) {
		case *counted:
			expr = e.Expression
		case *hclsyntax.ParenthesesExpr:
			expr = e.Expression
		default:
			return expr
		}
	}
}
