package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// decoder fills decode structs: structs with tags (see tag). Their fields are attr, *hcl.Attribute for values that are
// evaluated later, pointers to decode structs for blocks that occur at most once, slices of such pointers for other
// blocks, hcl.Range for the block's position, and hcl.Body for the rest. A decode struct may be a variant.
type decoder struct {
	secrets   *secrets
	budget    *budget
	directory string // of the configuration

	prepare func(*hclsyntax.Body, Block) hcl.Body // of a part of a stream
	stream  *stream                               // the single large block of this body, if any
	syntax  hcl.Diagnostics                       // of streams
}

// body fills the decode struct that target points to.
func (d *decoder) body(body hcl.Body, context *hcl.EvalContext, target any) hcl.Diagnostics {
	return d.structure(body, hcl.Range{}, context, reflect.ValueOf(target).Elem())
}

// variant is a decode struct of a block whose label determines additional attributes and blocks.
type variant interface {
	// variant returns an empty decode struct for the label's additions, or no value if the label is invalid.
	variant() reflect.Value
	// variants returns the types of all these decode structs, by label.
	variants() map[string]reflect.Type
	// complete is called when the variant is decoded.
	complete(directory string) hcl.Diagnostics
	// explainUnknown explains an attribute or a block that the block does not have.
	explainUnknown(name, what string) string
}

var attributeType = reflect.TypeFor[*hcl.Attribute]()

func (d *decoder) structure(body hcl.Body, at hcl.Range, context *hcl.EvalContext, target reflect.Value) hcl.Diagnostics {
	v, varies := target.Addr().Interface().(variant)
	if !varies {
		_, diags := d.content(body, schemaOf(target.Type()), at, context, target, reflect.Value{})
		return diags
	}
	added := v.variant()
	if !added.IsValid() { // unknown names may belong to the intended label
		schema := schemaOf(target.Type())
		schema.partial = true
		_, diags := d.content(body, schema, at, context, target, reflect.Value{})
		return diags
	}
	if !d.budget.hold(int(added.Type().Size()), at) {
		return nil
	}
	unknown, diags := d.content(body, joinedSchema(target.Type(), added.Type()), at, context, target, added)
	for _, diag := range unknown {
		if diag.Summary == "Unsupported argument" || diag.Summary == "Unsupported block type" {
			diag.Extra = v
		}
	}
	return append(diags, v.complete(d.directory)...)
}

// content fills a decode struct, and another one if valid, from one body. unknown are the problems with the structure of
// the body.
func (d *decoder) content(
	body hcl.Body, schema bodySchema, at hcl.Range, context *hcl.EvalContext, target, added reflect.Value,
) (unknown, diags hcl.Diagnostics) {
	var content *hcl.BodyContent
	var rest hcl.Body
	if schema.partial {
		content, rest, unknown = body.PartialContent(schema.BodySchema)
	} else {
		content, unknown = body.Content(schema.BodySchema)
	}
	meant := misspelled(unknown)
	unknown = slices.DeleteFunc(unknown, func(diag *hcl.Diagnostic) bool {
		return diag.Summary == "Missing required argument" && slices.ContainsFunc(meant, func(name string) bool {
			return strings.HasPrefix(diag.Detail, fmt.Sprintf("The argument %q is required", name))
		})
	})
	diags = unknown
	if content == nil {
		return unknown, diags
	}
	blocks := content.Blocks.ByType()
	content.Blocks = nil // each is garbage when it is decoded
	for _, target := range [...]reflect.Value{target, added} {
		if !target.IsValid() {
			continue
		}
		tags := tagsOf(target.Type())
		for i := range tags {
			tag, value := &tags[i], target.Field(tags[i].index)
			switch tag.Kind {
			case "attr", "optional":
				if f, ok := value.Addr().Interface().(field); ok && slices.Contains(meant, tag.Name) {
					f.fail(at)
					continue
				}
				diags = append(diags, d.attribute(content.Attributes[tag.Name], &at, context, value, tag)...)
			case "block":
				diags = append(diags, d.blocks(blocks[tag.Name], context, value)...)
			case "remain":
				value.Set(reflect.ValueOf(&rest).Elem())
			case "def_range":
				value.Set(reflect.ValueOf(at))
			}
		}
	}
	return unknown, diags
}

// misspelled returns the attributes of which unknown ones are likely misspellings. That one of them is missing is no further finding.
func misspelled(unknown hcl.Diagnostics) (meant []string) {
	for _, diag := range unknown {
		if _, name, found := strings.Cut(diag.Detail, ` Did you mean "`); found && diag.Summary == "Unsupported argument" {
			meant = append(meant, strings.TrimSuffix(name, `"?`))
		}
	}
	return meant
}

// attribute fills one field from an attribute, which is nil if absent.
func (d *decoder) attribute(a *hcl.Attribute, at *hcl.Range, context *hcl.EvalContext, target reflect.Value, tag *tag) hcl.Diagnostics {
	if target.Type() == attributeType {
		if a == nil && tag.Kind == "attr" {
			return hcl.Diagnostics{problem(*at, "Missing required argument",
				"The argument %q is required, but no definition was found.", tag.Name)}
		}
		if a != nil {
			target.Set(reflect.ValueOf(a))
		}
		return nil
	}
	f := target.Addr().Interface().(field)
	f.absent(at)
	if a == nil {
		if tag.Kind == "attr" {
			f.fail(*at) // package hcl has reported that it is missing
		}
		return nil
	}
	if d.budget.stopped {
		f.fail(a.Expr.Range())
		return nil
	}
	passing := d.budget.passing
	value, diags := evaluate(a.Expr, context, d.budget)
	if !diags.HasErrors() {
		var faults hcl.Diagnostics
		value, faults = d.budget.check(value, a.Expr.Range())
		diags = append(diags, faults...)
	}
	if diags.HasErrors() || !value.IsWhollyKnown() {
		if !diags.HasErrors() {
			diags = append(diags, consequence(a.Expr.Range()))
		}
		f.fail(a.Expr.Range())
		return diags
	}
	diags = append(diags, f.decode(value, a.Expr.Range(), elementRanges(a.Expr), tag)...)
	d.budget.passing = passing
	if value.CanIterateElements() {
		d.budget.hold(elementBytes*value.LengthInt(), a.Expr.Range())
	}
	switch f := f.(type) {
	case *attr[secret.Text]:
		d.secrets.add(value)
	case *attr[map[string]string]:
		for name, text := range f.value {
			if secretHeader.MatchString(name) {
				d.secrets.addText(text)
			}
		}
	}
	return diags
}

// elementRanges returns the positions of a list's elements, if it is written as a list.
func elementRanges(expr hcl.Expression) []hcl.Range {
	elements, diags := hcl.ExprList(expr)
	if diags.HasErrors() {
		return nil
	}
	ranges := make([]hcl.Range, len(elements))
	for i, element := range elements {
		ranges[i] = element.Range()
	}
	return ranges
}

// blocks fills a field from the blocks of its type.
func (d *decoder) blocks(blocks hcl.Blocks, context *hcl.EvalContext, target reflect.Value) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if target.Kind() != reflect.Slice {
		if len(blocks) == 0 {
			return nil
		}
		if target.IsNil() {
			one := newBlock(target.Type().Elem())
			diags = d.block(blocks[0], context, one.Elem())
			target.Set(one)
			blocks = blocks[1:]
		}
		for _, extra := range blocks {
			diags = append(diags, problem(extra.DefRange, fmt.Sprintf("Duplicate %s block", extra.Type),
				"There is already one at %s. Merge them into one.", where(target.Elem().FieldByName("At").Interface().(hcl.Range))))
		}
		return diags
	}
	all := target // a file is decoded in parts
	all.Grow(len(blocks))
	for i, block := range blocks {
		if len(diags) > maxFindings {
			break
		}
		blocks[i] = nil
		one := newBlock(target.Type().Elem().Elem())
		diags = append(diags, d.block(block, context, one.Elem())...)
		all = reflect.Append(all, one)
	}
	target.Set(all)
	return diags
}

// block fills a decode struct from a block with its labels.
func (d *decoder) block(block *hcl.Block, context *hcl.EvalContext, target reflect.Value) hcl.Diagnostics {
	if !d.budget.hold(int(target.Type().Size())+blockBytes, block.DefRange) {
		return nil
	}
	d.budget.fails = 0
	var diags hcl.Diagnostics
	tags, n := tagsOf(target.Type()), 0
	for i := range tags {
		if tags[i].Kind != "label" {
			continue
		}
		f := target.Field(tags[i].index).Addr().Interface().(field)
		diags = append(diags, f.decode(cty.StringVal(block.Labels[n]), block.LabelRanges[n], nil, &tags[i])...)
		n++
	}
	body := block.Body
	if s := d.stream; s != nil && s.block.TypeRange == block.TypeRange {
		d.stream = nil
		var inner hcl.Diagnostics
		if body, inner = d.streamed(s, context, target); body == nil {
			return append(diags, inner...)
		}
		diags = append(diags, inner...)
	}
	return append(diags, d.structure(body, block.DefRange, context, target)...)
}

// streamed fills the blocks within a large block, a part at a time. The returned body has the arguments.
func (d *decoder) streamed(s *stream, context *hcl.EvalContext, target reflect.Value) (hcl.Body, hcl.Diagnostics) {
	schema := Block{Blocks: blockSchema(target.Type()).Blocks}
	blocksOnly := &hcl.BodySchema{Blocks: schemaOf(target.Type()).Blocks}
	tags := tagsOf(target.Type())
	var diags hcl.Diagnostics
	for body, syntax := range s.parts() {
		if d.syntax = append(d.syntax, syntax...); len(d.syntax) > maxFaults || d.budget.stopped {
			return nil, diags
		}
		if len(diags) > maxFindings || d.syntax.HasErrors() {
			continue
		}
		passing := d.budget.passing
		content, contentDiags := d.prepare(body, schema).Content(blocksOnly)
		diags = append(diags, contentDiags...)
		blocks := content.Blocks.ByType()
		content.Blocks = nil
		for i := range tags {
			if tags[i].Kind == "block" {
				diags = append(diags, d.blocks(blocks[tags[i].Name], context, target.Field(tags[i].index))...)
			}
		}
		d.budget.passing = passing
	}
	whole := Block{Attributes: blockSchema(target.Type()).Attributes}
	return d.prepare(s.block.Body, whole), diags
}

// bodySchema is package hcl's schema of a decode struct.
type bodySchema struct {
	*hcl.BodySchema
	partial bool
}

var schemaCache sync.Map // reflect.Type of a decode struct to bodySchema

// schemaOf returns the schema of a decode struct.
func schemaOf(t reflect.Type) bodySchema {
	if known, ok := schemaCache.Load(t); ok {
		return known.(bodySchema)
	}
	schema := bodySchema{BodySchema: &hcl.BodySchema{}}
	for _, tag := range tagsOf(t) {
		switch tag.Kind {
		case "attr", "optional":
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{
				Name:     tag.Name,
				Required: tag.Kind == "attr" && t.Field(tag.index).Type != attributeType, // attribute reports the others, with the block's position
			})
		case "block":
			var labels []string
			for _, inner := range tagsOf(blockType(t.Field(tag.index).Type)) {
				if inner.Kind == "label" {
					labels = append(labels, inner.Name)
				}
			}
			schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: tag.Name, LabelNames: labels})
		case "remain":
			schema.partial = true
		}
	}
	schemaCache.Store(t, schema)
	return schema
}

var joinedCache sync.Map // reflect.Type of a label's additions, to one type of block, to bodySchema

// joinedSchema returns the schema of a block's body including its label's additions.
func joinedSchema(block, added reflect.Type) bodySchema {
	if known, ok := joinedCache.Load(added); ok {
		return known.(bodySchema)
	}
	a, b := schemaOf(block), schemaOf(added)
	joined := bodySchema{BodySchema: &hcl.BodySchema{
		Attributes: slices.Concat(a.Attributes, b.Attributes),
		Blocks:     slices.Concat(a.Blocks, b.Blocks),
	}}
	joinedCache.Store(added, joined)
	return joined
}

// blockType returns the decode struct of a field for blocks.
func blockType(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Elem()
}

// withDefaults returns the decode struct of an empty block.
func withDefaults[T any]() *T { return newBlock(reflect.TypeFor[T]()).Interface().(*T) }

var prototypes sync.Map // reflect.Type of a decode struct to the reflect.Value of an empty block

// newBlock returns a pointer to the decode struct of an empty block.
func newBlock(t reflect.Type) reflect.Value {
	block := reflect.New(t)
	prototype, ok := prototypes.Load(t)
	if !ok {
		prototype, _ = prototypes.LoadOrStore(t, prototypeOf(t))
	}
	block.Elem().Set(prototype.(reflect.Value))
	return block
}

func prototypeOf(t reflect.Type) reflect.Value {
	value := reflect.New(t).Elem()
	tags := tagsOf(t)
	for i := range tags {
		if f, ok := value.Field(tags[i].index).Addr().Interface().(field); ok {
			f.setDefault(&tags[i])
		}
	}
	return value
}
