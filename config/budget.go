package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// maxSteps bounds how often the bodies of all for expressions are evaluated: three loops within each other over a
// thousand elements would keep a reload busy for minutes.
const maxSteps = 500_000

// budget counts evaluations in for expressions.
type budget struct {
	steps    int
	exceeded hcl.Diagnostics
}

// limit makes every for expression within a node count its evaluations.
func (b *budget) limit(node hclsyntax.Node) {
	_ = hclsyntax.Walk(node, limiter{b}) // the limiter gives no diagnostics
}

// limiter replaces the parts of for expressions on the way out, so that inner ones have been seen before.
type limiter struct{ budget *budget }

func (l limiter) Enter(hclsyntax.Node) hcl.Diagnostics { return nil }

func (l limiter) Exit(node hclsyntax.Node) hcl.Diagnostics {
	if loop, ok := node.(*hclsyntax.ForExpr); ok {
		for _, part := range []*hclsyntax.Expression{&loop.KeyExpr, &loop.ValExpr, &loop.CondExpr} {
			if *part != nil {
				*part = &counted{parentheses(*part), l.budget}
			}
		}
	}
	return nil
}

// counted is an expression that is evaluated while there is budget, and is not known after that.
type counted struct {
	*hclsyntax.ParenthesesExpr
	budget *budget
}

func parentheses(inner hclsyntax.Expression) *hclsyntax.ParenthesesExpr {
	return &hclsyntax.ParenthesesExpr{Expression: inner, SrcRange: inner.Range()}
}

// Value implements hclsyntax.Expression.
func (c *counted) Value(context *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	c.budget.steps++
	if c.budget.steps > maxSteps {
		if len(c.budget.exceeded) == 0 {
			c.budget.exceeded = append(c.budget.exceeded, problem(c.Range(), "Too much to evaluate",
				"The for expressions of this configuration go over more than %d elements together.", maxSteps))
		}
		return cty.DynamicVal, nil
	}
	return c.ParenthesesExpr.Value(context)
}

// setProductFunction is setproduct, refused where its result would be too large.
var setProductFunction = function.New(&function.Spec{
	VarParam: &function.Parameter{Name: "sets", Type: cty.DynamicPseudoType},
	Type: func(args []cty.Value) (cty.Type, error) {
		product := 1
		for i, arg := range args {
			if arg.IsKnown() && !arg.IsNull() && arg.CanIterateElements() {
				product *= arg.LengthInt()
			}
			if product > maxSteps {
				return cty.NilType, function.NewArgErrorf(i, "there would be more than %d combinations", maxSteps)
			}
		}
		return stdlib.SetProductFunc.ReturnTypeForValues(args)
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return stdlib.SetProductFunc.Call(args) },
})
