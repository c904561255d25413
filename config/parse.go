package config

import (
	"iter"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// parsed iterates over the top-level arguments and blocks of all files, a few at a time: those of the language, or the
// others. HCL's parser uses 100 bytes per token and its tree 200, which become garbage before the next ones are parsed.
// A large block has an empty body and a stream of its contents.
func (s *source) parsed(language bool) iter.Seq2[part, hcl.Diagnostics] {
	return func(yield func(part, hcl.Diagnostics) bool) {
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

// part is some arguments and blocks.
type part struct {
	*hclsyntax.Body
	stream *stream // of the body of the single block, if large
}

// stream is the body of a large block, read in parts.
type stream struct {
	source *source
	file   *sourceFile
	piece  piece
	block  *hclsyntax.Block
}

// parse parses a piece of a file.
func (s *source) parse(file *sourceFile, p piece) (part, hcl.Diagnostics) {
	var result part
	var diags hcl.Diagnostics
	if p.open > 0 {
		result.Body, diags = parseHeader(file, p)
		if !diags.HasErrors() && len(result.Blocks) == 1 {
			result.stream = &stream{s, file, p, result.Blocks[0]}
			if p.language || result.Blocks[0].Type == "dynamic" {
				diags = append(diags, result.stream.whole()...)
				result.stream = nil
			}
		}
	} else {
		result.Body, diags = parsePiece(file, p)
	}
	if diags.HasErrors() {
		if foreign := explainForeign(file.name, file.text); foreign != nil {
			return result, foreign
		}
	}
	s.budget.limit(result.Body)
	return result, diags
}

func parsePiece(file *sourceFile, p piece) (*hclsyntax.Body, hcl.Diagnostics) {
	return parseText(file.text[p.start:p.end], file.name, hcl.Pos{Line: p.line, Column: p.col, Byte: p.start})
}

func parseText(text []byte, name string, at hcl.Pos) (*hclsyntax.Body, hcl.Diagnostics) {
	file, diags := hclsyntax.ParseConfig(text, name, at)
	if body, ok := file.Body.(*hclsyntax.Body); ok {
		return body, diags
	}
	return &hclsyntax.Body{}, diags
}

// parseHeader parses a large block without its contents.
func parseHeader(file *sourceFile, p piece) (*hclsyntax.Body, hcl.Diagnostics) {
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
	return body, diags
}

// parts iterates over the blocks within a large block, some thousand at a time. Arguments stay with the block itself.
func (s *stream) parts() iter.Seq2[*hclsyntax.Body, hcl.Diagnostics] {
	return func(yield func(*hclsyntax.Body, hcl.Diagnostics) bool) {
		for _, inner := range s.piece.inner {
			body, diags := parsePiece(s.file, inner)
			for name, attribute := range body.Attributes {
				if len(s.block.Body.Attributes) > maxArguments && !s.piece.language {
					break
				}
				if first, exists := s.block.Body.Attributes[name]; exists {
					diags = append(diags, problem(attribute.NameRange, "Attribute redefined",
						"The argument %q was already set at %s. Each argument may be set only once.", name, where(first.NameRange)))
					continue
				}
				s.source.budget.limit(attribute)
				s.block.Body.Attributes[name] = attribute
			}
			body.Attributes = nil
			for _, block := range body.Blocks {
				s.source.budget.limit(block)
			}
			if !yield(body, diags) {
				return
			}
		}
	}
}

// maxArguments limits the arguments that are kept of a large block, and the blocks within one that is read as a whole. It is
// far more than the language has; enough unknown ones are left to report.
var maxArguments = 1_000

// whole puts all contents into the block.
func (s *stream) whole() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for body, partDiags := range s.parts() {
		room := max(0, maxArguments-len(s.block.Body.Blocks))
		s.block.Body.Blocks = append(s.block.Body.Blocks, body.Blocks[:min(room, len(body.Blocks))]...)
		if diags = append(diags, partDiags...); len(diags) > maxFaults {
			break
		}
	}
	return diags
}

// expand returns a body with expanded dynamic blocks.
func (l *loader) expand(body *hclsyntax.Body) hcl.Body {
	if !hasDynamic(body) {
		return body
	}
	return dynblock.Expand(body, l.context, dynblock.OptCheckForEach(l.checkForEach))
}

func hasDynamic(body *hclsyntax.Body) bool {
	return slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == "dynamic" || hasDynamic(b.Body) })
}
