package config

import (
	"iter"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// parsed goes through the arguments and blocks of all files at the top level, a few at a time: those of the language,
// or the others. HCL's parser holds 100 bytes for each token and its tree 200, which are garbage when the next come.
func (s *source) parsed(language bool) iter.Seq2[*hclsyntax.Body, hcl.Diagnostics] {
	return func(yield func(*hclsyntax.Body, hcl.Diagnostics) bool) {
		for _, file := range s.order {
			for _, p := range file.pieces {
				if p.language != language {
					continue
				}
				if body, diags := s.parse(file, p); !yield(body, diags) {
					return
				}
			}
		}
	}
}

// parse parses a piece of a file.
func (s *source) parse(file *sourceFile, p piece) (*hclsyntax.Body, hcl.Diagnostics) {
	body, diags := parsePiece(file, p)
	if diags.HasErrors() {
		if foreign := explainForeign(file.name, file.text); foreign != nil {
			return body, foreign
		}
	}
	s.budget.limit(body)
	return body, diags
}

func parsePiece(file *sourceFile, p piece) (*hclsyntax.Body, hcl.Diagnostics) {
	if p.open > 0 {
		return parseBlock(file, p)
	}
	return parseText(file.text[p.start:p.end], file.name, hcl.Pos{Line: p.line, Column: p.col, Byte: p.start})
}

func parseText(text []byte, name string, at hcl.Pos) (*hclsyntax.Body, hcl.Diagnostics) {
	file, diags := hclsyntax.ParseConfig(text, name, at)
	if body, ok := file.Body.(*hclsyntax.Body); ok {
		return body, diags
	}
	return &hclsyntax.Body{}, diags
}

// parseBlock parses a large block: its header with an empty body, and then the lines of the body a few at a time.
func parseBlock(file *sourceFile, p piece) (*hclsyntax.Body, hcl.Diagnostics) {
	header := append(file.text[p.start:p.open:p.open], '}')
	body, diags := parseText(header, file.name, hcl.Pos{Line: p.line, Column: p.col, Byte: p.start})
	if diags.HasErrors() || len(body.Blocks) != 1 {
		return body, diags
	}
	block := body.Blocks[0]
	end := hcl.Pos{Line: p.closeLine, Column: 1 + p.close - lineStart(file.text, p.close), Byte: p.close}
	after := hcl.Pos{Line: end.Line, Column: end.Column + 1, Byte: end.Byte + 1}
	block.CloseBraceRange = hcl.Range{Filename: file.name, Start: end, End: after}
	block.Body.SrcRange.End, body.SrcRange.End = after, after
	block.Body.EndRange = hcl.Range{Filename: file.name, Start: after, End: after}
	for _, inner := range p.inner {
		part, partDiags := parsePiece(file, inner)
		diags = append(diags, partDiags...)
		for name, attribute := range part.Attributes {
			if first, exists := block.Body.Attributes[name]; exists {
				diags = append(diags, problem(attribute.NameRange, "Attribute redefined",
					"The argument %q was already set at %s. Each argument may be set only once.", name, where(first.NameRange)))
				continue
			}
			block.Body.Attributes[name] = attribute
		}
		block.Body.Blocks = append(block.Body.Blocks, part.Blocks...)
		if len(diags) > maxFaults {
			break
		}
	}
	return body, diags
}
