package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// limit makes every expression within a node count its cost, if that can exceed its own size.
func (b *budget) limit(node hclsyntax.Node) {
	_ = hclsyntax.Walk(node, limiter{b}) // the limiter returns no diagnostics
}

// limiter replaces expressions in post-order, so inner ones have been handled before.
type limiter struct{ budget *budget }

func (l limiter) Enter(hclsyntax.Node) hcl.Diagnostics { return nil }

func (l limiter) Exit(node hclsyntax.Node) hcl.Diagnostics {
	switch node := node.(type) {
	case *hclsyntax.ForExpr:
		l.loop(&loopState{}, &node.KeyExpr, &node.ValExpr, &node.CondExpr)
		l.costly(&node.CollExpr)
	case *hclsyntax.SplatExpr:
		l.loop(&loopState{splat: true}, &node.Each)
		l.costly(&node.Source)
	case *hclsyntax.BinaryOpExpr: // an operand is converted, or compared deeply
		l.every(&node.LHS, &node.RHS)
		l.converted(node.LHS, node.RHS)
	case *hclsyntax.UnaryOpExpr:
		l.every(&node.Val)
	case *hclsyntax.ConditionalExpr: // the results are converted to one type
		l.every(&node.Condition, &node.TrueResult, &node.FalseResult)
		l.converted(node.TrueResult, node.FalseResult)
	case *hclsyntax.IndexExpr:
		l.every(&node.Key)
		l.costly(&node.Collection)
	case *hclsyntax.FunctionCallExpr:
		for i := range node.Args {
			l.argument(&node.Args[i], node.Name, i)
		}
	case *hclsyntax.Attribute:
		l.costly(&node.Expr)
	case *hclsyntax.ParenthesesExpr:
		l.costly(&node.Expression)
	case *hclsyntax.RelativeTraversalExpr:
		l.costly(&node.Source)
	case *hclsyntax.TemplateWrapExpr:
		l.costly(&node.Wrapped)
	case *hclsyntax.TemplateJoinExpr:
		l.costly(&node.Tuple)
	case *hclsyntax.ObjectConsKeyExpr:
		l.costly(&node.Wrapped)
	case *hclsyntax.TemplateExpr:
		for i := range node.Parts {
			l.part(&node.Parts[i])
		}
	case *hclsyntax.TupleConsExpr:
		for i := range node.Exprs {
			l.part(&node.Exprs[i])
		}
	case *hclsyntax.ObjectConsExpr:
		for i := range node.Items {
			l.part(&node.Items[i].KeyExpr)
			l.part(&node.Items[i].ValueExpr)
		}
	}
	return nil
}

// loop replaces the expressions that a loop evaluates for each element.
func (l limiter) loop(state *loopState, parts ...*hclsyntax.Expression) {
	for _, part := range parts {
		if *part != nil {
			nodes := 0
			_ = hclsyntax.VisitAll(*part, func(hclsyntax.Node) hcl.Diagnostics { nodes++; return nil })
			*part = &counted{ParenthesesExpr: parentheses(*part), budget: l.budget, units: stepUnits * (1 + nodes), loop: state}
		}
	}
}

// every replaces expressions of any kind.
func (l limiter) every(parts ...*hclsyntax.Expression) {
	for _, part := range parts {
		switch (*part).(type) {
		case *counted, *hclsyntax.LiteralValueExpr:
		default:
			*part = &counted{ParenthesesExpr: parentheses(*part), budget: l.budget}
		}
	}
}

// converted marks expressions whose values are converted or compared deeply.
func (l limiter) converted(parts ...hclsyntax.Expression) {
	for _, part := range parts {
		if c, ok := part.(*counted); ok {
			c.converts = true
		}
	}
}

// costly replaces an expression whose value can be larger than its text.
func (l limiter) costly(part *hclsyntax.Expression) {
	switch expr := (*part).(type) {
	case *hclsyntax.TemplateExpr:
		if len(expr.Parts) > 1 {
			l.every(part)
		}
	case *hclsyntax.ForExpr, *hclsyntax.SplatExpr, *hclsyntax.BinaryOpExpr, *hclsyntax.UnaryOpExpr, *hclsyntax.ConditionalExpr,
		*hclsyntax.FunctionCallExpr:
		l.every(part)
	}
}

// part replaces one of many expressions, so that only the first errors are reported.
func (l limiter) part(part *hclsyntax.Expression) {
	switch (*part).(type) {
	case *hclsyntax.ScopeTraversalExpr, *hclsyntax.RelativeTraversalExpr, *hclsyntax.IndexExpr:
		l.every(part)
	default:
		l.costly(part)
	}
}

// argument replaces a function's argument, which is converted to the type of the parameter.
func (l limiter) argument(part *hclsyntax.Expression, name string, i int) {
	if name == "try" || name == "can" {
		l.every(part)
		if c, ok := (*part).(*counted); ok {
			c.tried = true
		}
		return
	}
	l.every(part)
	if c, ok := (*part).(*counted); ok {
		c.unifies = l.budget.unifies(name, i)
	}
}

// loopState counts the failures of a loop.
type loopState struct {
	splat bool // all elements are evaluated in the splat's own context, instead of one per element
	outer *hcl.EvalContext
	fails int
}

// counted is an expression that is evaluated only while there is budget; then its value is unknown.
type counted struct {
	hclsyntax.ParenthesesExpr
	budget   *budget
	units    int        // in addition to the size of the value
	loop     *loopState // nil unless it is the body of a loop
	converts bool       // the value is converted deeply
	unifies  bool       // the elements of the value are converted to one type
	tried    bool       // errors in it are none outside
}

func parentheses(inner hclsyntax.Expression) hclsyntax.ParenthesesExpr {
	return hclsyntax.ParenthesesExpr{Expression: inner, SrcRange: inner.Range()}
}

// UnwrapExpression lets package hcl inspect the syntax, such as a list or a call.
func (c *counted) UnwrapExpression() hcl.Expression { return c.Expression }

// Value implements hclsyntax.Expression.
func (c *counted) Value(context *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if !c.budget.spend(c.units, c.SrcRange) || c.loop.hasFailed(context) || c.budget.fails >= maxFails {
		return cty.DynamicVal, nil
	}
	fails := c.budget.fails
	value, diags := c.Expression.Value(context)
	if diags.HasErrors() {
		c.budget.fails++
		if c.loop != nil {
			c.loop.fails++
			c.budget.spend(errorUnits, c.SrcRange)
		}
		if c.tried {
			c.budget.fails = fails
		}
		return value, diags
	}
	before := c.budget.units
	value, bytes, faults := c.budget.measure(value, c.SrcRange)
	if !c.budget.pass(c.made(value, bytes), c.SrcRange) {
		return cty.DynamicVal, diags
	}
	if c.converts && !c.budget.spend(convertTimes*(c.budget.units-before), c.SrcRange) {
		return cty.DynamicVal, diags
	}
	if c.unifies {
		value = asList(value)
		if !c.budget.spend(unifyUnits(value), c.SrcRange) {
			return cty.DynamicVal, diags
		}
	}
	return value, append(diags, faults...)
}

// made returns how much of a value's memory is new; bytes is its size including all elements. The elements of a loop's
// result have been counted there.
func (c *counted) made(value cty.Value, bytes int) int {
	switch expr := c.Expression.(type) {
	case *hclsyntax.ScopeTraversalExpr, *hclsyntax.RelativeTraversalExpr, *hclsyntax.IndexExpr, *hclsyntax.ParenthesesExpr:
		return 0
	case *hclsyntax.ForExpr, *hclsyntax.SplatExpr:
		return size(value)
	case *hclsyntax.FunctionCallExpr:
		if value.CanIterateElements() && !newElements[expr.Name] {
			return size(value)
		}
	}
	if c.loop == nil && bytes < smallBytes {
		return 0 // part of a larger value that is counted, or as small as the text of the expression
	}
	return bytes
}

// newElements are the functions whose results have elements that their arguments do not have.
var newElements = map[string]bool{
	"chunklist": true, "csvdecode": true, "formatlist": true, "jsondecode": true, "range": true, "regex": true, "regexall": true,
	"setproduct": true, "split": true, "tolist": true, "tomap": true, "toset": true,
}

// hasFailed reports whether a loop has caused so many errors that more are redundant. Each evaluation of the loop has a
// new parent context.
func (s *loopState) hasFailed(context *hcl.EvalContext) bool {
	if s == nil {
		return false
	}
	outer := context
	if !s.splat {
		outer = context.Parent()
	}
	if outer != s.outer {
		s.outer, s.fails = outer, 0
	}
	return s.fails >= maxLoopFails
}
