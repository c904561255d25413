package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestDefaultsFit decodes the default of every attribute of every block: an invalid one would cause a panic at run time.
func TestDefaultsFit(t *testing.T) {
	seen := map[reflect.Type]bool{}
	defaults := 0
	var walk func(name string, block reflect.Type)
	walk = func(name string, block reflect.Type) {
		if seen[block] {
			return
		}
		seen[block] = true
		func() {
			defer func() {
				if wrong := recover(); wrong != nil {
					t.Errorf("block %s: %v", name, wrong)
				}
			}()
			newBlock(block)
		}()
		for _, tag := range tagsOf(block) {
			if tag.Default != "" {
				defaults++
			}
			if tag.Kind == "block" {
				walk(tag.Name, blockType(block.Field(tag.index).Type))
			}
		}
		if v, ok := reflect.New(block).Interface().(variant); ok {
			for label, added := range v.variants() {
				walk(fmt.Sprintf("%s %q", name, label), added)
			}
		}
	}
	walk("of the file", reflect.TypeFor[file]())
	walk("of the language", reflect.TypeFor[languageBlocks]())
	if defaults == 0 {
		t.Error("no attribute has a default")
	}
}

// TestSchedulersMatchKernel compares the language's schedulers with those of package ipvs.
func TestSchedulersMatchKernel(t *testing.T) {
	tags := tagsOf(reflect.TypeFor[serviceBlock]())
	i := slices.IndexFunc(tags, func(tag tag) bool { return tag.Name == "scheduler" })
	if i < 0 {
		t.Fatal("a virtual_service has no attribute scheduler")
	}
	if diff := cmp.Diff(ipvs.Schedulers(), tags[i].OneOf); diff != "" {
		t.Errorf("package ipvs and the language differ:\n%s", diff)
	}
}

// TestReference compares docs/reference.md with the schema: each block has a heading and states where and how often it
// may occur, and a table has a row for each attribute with its type, default and range. Missing, additional and wrong
// entries are errors.
func TestReference(t *testing.T) {
	var got []string
	block := ""
	for line := range strings.Lines(reference(t)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			block = strings.Trim(strings.TrimPrefix(line, "## "), "`")
			if !strings.Contains(line, "`") {
				block = "" // a section of text
			}
		case block == "":
		case strings.HasPrefix(line, "Within ") || strings.HasPrefix(line, "At the top level"):
			place, _, _ := strings.Cut(line, ".")
			got = append(got, block+": "+place)
		case strings.HasPrefix(line, "| `"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			if len(cells) != 5 || cells[4] == "" {
				t.Errorf("not name, type, default, range and meaning: %s", line)
				continue
			}
			got = append(got, block+": "+strings.Join(cells[:4], " | "))
		}
	}
	want := described(Schema())
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/reference.md and the schema differ (-schema +reference):\n%s", diff)
	}
}

// TestChecksAreCompared checks that the table in docs/healthchecks.md has every attribute of a check, beside keepalived's and HAProxy's.
func TestChecksAreCompared(t *testing.T) {
	text, err := os.ReadFile("../docs/healthchecks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(text), "\n## keepalived and HAProxy\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	named := map[string]bool{}
	for line := range strings.Lines(chapter) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			for _, code := range regexp.MustCompile("`[^`]*`").FindAllString(cells[1], -1) {
				for _, word := range regexp.MustCompile(`[a-z_]+`).FindAllString(code, -1) {
					named[word] = true
				}
			}
		}
	}
	checks := 0
	var compare func(b Block)
	compare = func(b Block) {
		for _, v := range b.Variants {
			if checks++; !named[v.Label] {
				t.Errorf("the table has no row for the kind %s", v.Label)
			}
			for _, a := range v.Attributes {
				if !named[a.Name] {
					t.Errorf("the table does not have %s of %s %q", a.Name, b.Type, v.Label)
				}
			}
		}
		for _, a := range b.Attributes {
			if !named[a.Name] {
				t.Errorf("the table does not have %s of %s", a.Name, b.Type)
			}
		}
		for _, inner := range b.Blocks {
			compare(inner)
		}
	}
	walkSchema(Schema(), func(b Block) {
		if b.Type == "health_check" {
			compare(b)
		}
	})
	if checks == 0 {
		t.Error("there is no kind of check")
	}
}

// TestReferenceFunctions compares the section about functions with the functions.
func TestReferenceFunctions(t *testing.T) {
	_, chapter, _ := strings.Cut(reference(t), "\n## Functions\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	var got []string
	for _, match := range regexp.MustCompile("`([a-z]+)(?:\\([^`]*)?`").FindAllStringSubmatch(chapter, -1) {
		got = append(got, match[1])
	}
	slices.Sort(got)
	want := slices.Sorted(maps.Keys(functions(asLB1(), &budget{})))
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("docs/reference.md and the functions differ (-functions +reference):\n%s", diff)
	}
}

func reference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// described formats the schema as TestReference reads the reference. A block that may occur in several others is in the
// reference once. The additions of each label have a section of their own.
func described(schema Block) []string {
	homes := map[string][]string{}
	walkSchema(schema, func(outer Block) {
		for _, b := range outer.Blocks {
			if home := "`" + outer.Type + "`"; outer.Type != "" && !slices.Contains(homes[b.Type], home) {
				homes[b.Type] = append(homes[b.Type], home)
			}
		}
	})
	var lines []string
	walkSchema(schema, func(b Block) {
		if b.Type == "" {
			return
		}
		name, place, often := b.Type, "At the top level", "at most one"
		if b.Label != "" {
			name = fmt.Sprintf("%s %q", b.Type, b.Label)
		}
		if len(homes[b.Type]) > 0 {
			place = "Within " + strings.Join(homes[b.Type], " and ")
		}
		if b.Repeats {
			often = "any number"
		}
		describe := func(name string, attributes []Attribute) {
			lines = append(lines, fmt.Sprintf("%s: %s, %s", name, place, often))
			for _, a := range attributes {
				def := a.Default
				if a.Required {
					def = "required"
				}
				lines = append(lines, fmt.Sprintf("%s: `%s` | %s | %s | %s", name, a.Name, a.Type, def, a.Range))
			}
		}
		common := b.Attributes
		for _, v := range b.Variants {
			describe(fmt.Sprintf("%s %q", b.Type, v.Label), v.Attributes)
			common = slices.DeleteFunc(slices.Clone(common), func(a Attribute) bool { return slices.Contains(v.Attributes, a) })
		}
		describe(name, common)
	})
	slices.Sort(lines)
	return slices.Compact(lines)
}
