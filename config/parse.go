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
			pieces := slices.DeleteFunc(slices.Clone(file.pieces), func(p piece) bool { return p.language != language })
			at := 0
			for body, diags := range parseAhead(file, pieces) {
				if !yield(s.part(file, pieces[at], body, diags)) {
					return
				}
				at++
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

// part makes a part of a parsed piece.
func (s *source) part(file *sourceFile, p piece, body *hclsyntax.Body, diags hcl.Diagnostics) (part, hcl.Diagnostics) {
	result := part{Body: body}
	if p.open > 0 && !diags.HasErrors() && len(body.Blocks) == 1 {
		result.stream = &stream{s, file, p, body.Blocks[0]}
		if p.language || body.Blocks[0].Type == "dynamic" {
			diags = append(diags, result.stream.whole()...)
			result.stream = nil
		}
	}
	if diags.HasErrors() {
		if foreign := explainForeign(file.name, file.text); foreign != nil {
			return result, foreign
		}
	}
	s.budget.limit(result.Body)
	return result, diags
}

// maxAhead is the size of a piece that is parsed before it is needed. Larger ones wait until the memory of the one before is free.
const maxAhead = 256 << 10 // bytes

// parseAhead parses pieces in turn, each while the caller uses the one before it, which is half of the work.
func parseAhead(file *sourceFile, pieces []piece) iter.Seq2[*hclsyntax.Body, hcl.Diagnostics] {
	type parsed struct {
		body  *hclsyntax.Body
		diags hcl.Diagnostics
	}
	return func(yield func(*hclsyntax.Body, hcl.Diagnostics) bool) {
		next := make(chan parsed, 1)
		isAhead := false
		for i, p := range pieces {
			var now parsed
			if isAhead {
				now = <-next
			} else {
				now.body, now.diags = parsePiece(file, p)
			}
			if isAhead = i+1 < len(pieces) && max(p.end-p.start, pieces[i+1].end-pieces[i+1].start) <= maxAhead; isAhead {
				go func() {
					body, diags := parsePiece(file, pieces[i+1])
					next <- parsed{body, diags}
				}()
			}
			if !yield(now.body, now.diags) {
				return
			}
		}
	}
}

// parsePiece parses a piece of a file, of a large block only the header.
func parsePiece(file *sourceFile, p piece) (*hclsyntax.Body, hcl.Diagnostics) {
	if p.open > 0 {
		return parseHeader(file, p)
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
		for body, diags := range parseAhead(s.file, s.piece.inner) {
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
