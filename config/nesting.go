package config

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// HCL's parser and evaluator recurse once a bracket and once an operator, and a Go program whose stack is exhausted
// ends at once (measured: 100,000 opening brackets do it). These limits are far beyond what people write.
const (
	maxDepth     = 100   // of brackets within brackets
	maxOperators = 1_000 // in one expression
	maxDigits    = 40    // of a number, which must have no exponent: 1e999999999 would be written out with all its digits
)

// checkNesting refuses a text whose expressions are too deep to be parsed.
func checkNesting(text []byte, filename string) hcl.Diagnostics {
	tokens, _ := hclsyntax.LexConfig(text, filename, hcl.InitialPos) // the parser reports bad tokens, better
	var open []hclsyntax.TokenType
	operators := 0
	for _, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenOParen, hclsyntax.TokenOBrack, hclsyntax.TokenOBrace,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl, hclsyntax.TokenOHeredoc, hclsyntax.TokenOQuote:
			open = append(open, token.Type)
		case hclsyntax.TokenCParen, hclsyntax.TokenCBrack, hclsyntax.TokenCBrace,
			hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCHeredoc, hclsyntax.TokenCQuote:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case hclsyntax.TokenComma:
			operators = 0
		case hclsyntax.TokenNewline:
			if len(open) == 0 || open[len(open)-1] == hclsyntax.TokenOBrace {
				operators = 0
			}
		case hclsyntax.TokenNumberLit:
			if len(token.Bytes) > maxDigits || bytes.ContainsAny(token.Bytes, "eE") {
				return hcl.Diagnostics{problem(token.Range, "Invalid number",
					"Write numbers with at most %d digits and without an exponent.", maxDigits)}
			}
		case hclsyntax.TokenIdent, hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit,
			hclsyntax.TokenComment, hclsyntax.TokenEqual, hclsyntax.TokenEOF:
		default:
			operators++
		}
		if len(open) > maxDepth {
			return hcl.Diagnostics{problem(token.Range, "Too deep",
				"There are more than %d brackets, quotes or blocks within each other here.", maxDepth)}
		}
		if operators > maxOperators {
			return hcl.Diagnostics{problem(token.Range, "Expression too long",
				"There are more than %d operators in this expression. Split it into several local values.", maxOperators)}
		}
	}
	return nil
}
