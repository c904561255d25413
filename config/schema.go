package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Block is a block type of the language, with its attributes and blocks in the order of the reference.
type Block struct {
	Type       string // "" for the whole configuration
	Label      string // meaning of its label; "" without one
	Repeats    bool   // may occur more than once
	Free       bool   // its attributes have arbitrary names
	Attributes []Attribute
	Blocks     []Block
	Variants   []Block // the additions of each label, which Attributes and Blocks include
}

// Attribute is an attribute of a block.
type Attribute struct {
	Name     string
	Type     string
	Required bool
	Default  string // value if absent
	Range    string // allowed values; "" for all of the type
}

// Schema returns the whole language as the decoder implements it.
func Schema() Block {
	root := blockSchema(reflect.TypeFor[languageBlocks]())
	root.Blocks = append(root.Blocks, blockSchema(reflect.TypeFor[file]()).Blocks...)
	root.Free = false
	return root
}

// walkSchema calls visit for a block and all blocks within it.
func walkSchema(block Block, visit func(Block)) {
	visit(block)
	for _, inner := range block.Blocks {
		walkSchema(inner, visit)
	}
}

// blockSchema describes a decode struct. A variant has the attributes and blocks of all its labels.
func blockSchema(t reflect.Type) Block {
	block := ownSchema(t)
	v, varies := reflect.New(t).Interface().(variant)
	if !varies {
		return block
	}
	all := v.variants()
	for _, label := range slices.Sorted(maps.Keys(all)) {
		added := blockSchema(all[label])
		added.Label = label
		block.Variants = append(block.Variants, added)
		for _, a := range added.Attributes {
			if !slices.Contains(block.Attributes, a) {
				block.Attributes = append(block.Attributes, a)
			}
		}
		for _, b := range added.Blocks {
			if !slices.ContainsFunc(block.Blocks, func(known Block) bool { return reflect.DeepEqual(known, b) }) {
				block.Blocks = append(block.Blocks, b)
			}
		}
	}
	return block
}

// ownSchema describes a decode struct without the additions of its label.
func ownSchema(t reflect.Type) Block {
	var block Block
	for _, tag := range tagsOf(t) {
		f := t.Field(tag.index)
		switch tag.Kind {
		case "label":
			block.Label = tag.Name
		case "attr", "optional":
			block.Attributes = append(block.Attributes, attributeSchema(f.Type, tag))
		case "remain":
			block.Free = true
		case "block":
			b := blockSchema(blockType(f.Type))
			b.Type, b.Repeats = tag.Name, f.Type.Kind() == reflect.Slice
			block.Blocks = append(block.Blocks, b)
		}
	}
	return block
}

func attributeSchema(t reflect.Type, tag tag) Attribute {
	a := Attribute{Name: tag.Name, Required: tag.Kind == "attr", Type: "expression", Default: tag.Unset, Range: tag.Holds}
	if t != attributeType {
		a.Type = reflect.New(t).Interface().(field).typeName()
	}
	if tag.Default != "" {
		a.Default = tag.Default
	}
	switch {
	case a.Range != "":
	case tag.Range != "":
		a.Range = strings.Replace(tag.Range, "..", " to ", 1)
	case len(tag.OneOf) > 0:
		a.Range = strings.Join(tag.OneOf, ", ")
	case a.Type == "bool":
		a.Range = "true, false"
	}
	return a
}
