package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// tag is the content of the struct tags of a field in a decode struct. An attribute's name, default and range are
// defined only there: the decoder applies them, and a test compares the reference with them.
//
//	hcl:"name,kind"   kind: attr (required), optional, label, block, remain, def_range
//	default:"…"       the value where the attribute is not written
//	unset:"…"         what is so where it is not written, in words; there is no value
//	range:"a..b"      the least and the greatest number or duration
//	oneof:"a|b"       the words that are allowed
//	holds:"…"         what is allowed, in words; a rule or the type checks it
type tag struct {
	Name    string
	Kind    string
	Default string
	Unset   string
	Range   string
	OneOf   []string
	Holds   string
	index   int
}

var tagCache sync.Map // reflect.Type of a decode struct to []tag

// tagsOf returns the tags of all fields of a decode struct that have any.
func tagsOf(t reflect.Type) []tag {
	if known, ok := tagCache.Load(t); ok {
		return known.([]tag)
	}
	var tags []tag
	for i := range t.NumField() {
		f := t.Field(i)
		text, ok := f.Tag.Lookup("hcl")
		if !ok {
			continue
		}
		name, kind, _ := strings.Cut(text, ",")
		one := tag{
			Name: name, Kind: kind, Default: f.Tag.Get("default"), Unset: f.Tag.Get("unset"),
			Range: f.Tag.Get("range"), Holds: f.Tag.Get("holds"), index: i,
		}
		if words := f.Tag.Get("oneof"); words != "" {
			one.OneOf = strings.Split(words, "|")
		}
		tags = append(tags, one)
	}
	tagCache.Store(t, tags)
	return tags
}

// checkWord rejects a word that is not allowed.
func (t *tag) checkWord(word string) error {
	if len(t.OneOf) == 0 {
		return nil
	}
	for _, known := range t.OneOf {
		if word == known {
			return nil
		}
	}
	if hint := otherValues[t.Name][strings.ToLower(word)]; hint != "" {
		return fmt.Errorf("%q is not known here. %s", word, strings.TrimSuffix(hint, "."))
	}
	return fmt.Errorf("%q is not known here.%s Write %s", word, didYouMean(word, t.OneOf), enumerate(t.OneOf))
}

// checkNumber rejects a number outside the range.
func (t *tag) checkNumber(n int64) error {
	first, last, ok := strings.Cut(t.Range, "..")
	if !ok {
		return nil
	}
	least, err1 := strconv.ParseInt(first, 10, 64)
	greatest, err2 := strconv.ParseInt(last, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		panic(fmt.Sprintf("the range of %s: %s", t.Name, err))
	}
	if n < least || n > greatest {
		return fmt.Errorf("%d is out of range. Write a number from %d to %d", n, least, greatest)
	}
	return nil
}

// checkDuration rejects a duration outside the range.
func (t *tag) checkDuration(d time.Duration) error {
	first, last, ok := strings.Cut(t.Range, "..")
	if !ok {
		return nil
	}
	least, err1 := time.ParseDuration(first)
	greatest, err2 := time.ParseDuration(last)
	if err := errors.Join(err1, err2); err != nil {
		panic(fmt.Sprintf("the range of %s: %s", t.Name, err))
	}
	if d < least || d > greatest {
		return fmt.Errorf("%s is out of range. Write a duration from %q to %q", d, first, last)
	}
	return nil
}

// sentence turns an error's text into a sentence.
func sentence(err error) string {
	text := err.Error()
	if word, _, _ := strings.Cut(text, " "); strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }) {
		return text + "." // a name or a number is not capitalized
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}
