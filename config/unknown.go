package config

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxUnknown limits the unknown words that are handled: package hcl searches a suggestion for each.
const maxUnknown = 100

// unknownWords counts unknown words.
type unknownWords struct{ count int }

// trim removes unknown words from a body, beyond the first hundred.
func (u *unknownWords) trim(body *hclsyntax.Body, schema Block) {
	if schema.Free {
		return
	}
	if len(body.Attributes) > len(schema.Attributes) {
		for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
			if !slices.ContainsFunc(schema.Attributes, func(a Attribute) bool { return a.Name == name }) {
				if u.count++; u.count > maxUnknown {
					delete(body.Attributes, name)
				}
			}
		}
	}
	body.Blocks = slices.DeleteFunc(body.Blocks, func(block *hclsyntax.Block) bool {
		name, inner := block.Type, block.Body
		if name == "dynamic" && len(block.Labels) > 0 {
			name, inner = block.Labels[0], nil
			for _, content := range block.Body.Blocks {
				if content.Type == "content" {
					inner = content.Body
				}
			}
		}
		i := slices.IndexFunc(schema.Blocks, func(b Block) bool { return b.Type == name })
		if i >= 0 {
			if inner != nil {
				u.trim(inner, schema.Blocks[i])
			}
			return false
		}
		u.count++
		return u.count > maxUnknown
	})
}
