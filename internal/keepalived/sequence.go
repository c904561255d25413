package keepalived

import (
	"strconv"
	"strings"
)

// parseSequence parses ~SEQ(NAME, [START,] [STEP,] END) TEXT, or ~SEQx for hexadecimal numbers: TEXT is repeated with the
// variable NAME set to each number. It returns nil if the line is invalid.
func parseSequence(l *lines, text string) generator {
	rest, hex := strings.CutPrefix(text[len("~SEQ"):], "x")
	name, rest, ok := parameter(rest)
	inside, body, closed := strings.Cut(rest, ")")
	if !ok || !closed {
		return nil
	}
	inside, _ = l.replace(inside)
	var numbers []int64
	for _, n := range strings.Split(inside, ",") {
		value, err := strconv.ParseInt(strings.TrimSpace(n), 0, 64)
		if err != nil {
			return nil
		}
		numbers = append(numbers, value)
	}
	var start, step, end int64
	switch len(numbers) {
	case 1:
		start, step, end = 1, 1, numbers[0]
		if end < 0 {
			start = -1
		}
	case 2:
		start, step, end = numbers[0], 1, numbers[1]
	case 3:
		start, step, end = numbers[0], numbers[1], numbers[2]
	default:
		return nil
	}
	if len(numbers) < 3 && start > end {
		step = -1
	}
	if step == 0 || start < end && step < 0 || start > end && step > 0 || hex && (start < 0 || end < 0) {
		return nil
	}
	base := 10
	if hex {
		base = 16
	}
	body = strings.TrimLeft(body, " \t")
	return func() (string, bool) {
		l.defs[name] = definition{value: strconv.FormatInt(start, base)}
		left := end - start // same sign as step
		start += step
		return body, left/step >= 1
	}
}

// parameter parses the beginning of the parameters of ~SEQ: "(NAME,".
func parameter(text string) (name, rest string, ok bool) {
	text, opened := strings.CutPrefix(strings.TrimLeft(text, " \t"), "(")
	name, rest, found := strings.Cut(text, ",")
	name = strings.Trim(name, " \t")
	return name, rest, opened && found && name != "" && !strings.ContainsAny(name, " \t){")
}

// parseList parses ~LST({NAMES}, {VALUES}, …) TEXT: TEXT is repeated with the variables NAMES set to each group of values. One
// name or value needs no braces. It returns nil if the line is invalid.
func parseList(l *lines, text string) generator {
	rest, opened := strings.CutPrefix(strings.TrimLeft(text[len("~LST"):], " \t"), "(")
	names, rest, ok := group(rest)
	if !opened || !ok {
		return nil
	}
	var sets [][]string
	for {
		var more bool
		if rest, more = strings.CutPrefix(strings.TrimLeft(rest, " \t"), ","); !more {
			break
		}
		var set []string
		if set, rest, ok = group(rest); !ok || len(set) > len(names) {
			return nil
		}
		sets = append(sets, set)
	}
	body, closed := strings.CutPrefix(strings.TrimLeft(rest, " \t"), ")")
	if !closed || len(sets) == 0 {
		return nil
	}
	body = strings.TrimLeft(body, " \t")
	return func() (string, bool) {
		for i, name := range names {
			value := ""
			if i < len(sets[0]) {
				value = sets[0][i]
			}
			l.defs[name] = definition{value: value}
		}
		sets = sets[1:]
		return body, len(sets) > 0
	}
}

// group parses one word, or several in braces with commas.
func group(text string) (words []string, rest string, ok bool) {
	text = strings.TrimLeft(text, " \t")
	if inside, braced := strings.CutPrefix(text, "{"); braced {
		inside, rest, ok = strings.Cut(inside, "}")
		for _, w := range strings.Split(inside, ",") {
			words = append(words, strings.Trim(w, " \t"))
		}
		return words, rest, ok
	}
	end := strings.IndexAny(text, ",)")
	if end < 0 {
		return nil, "", false
	}
	return []string{strings.Trim(text[:end], " \t")}, text[end:], true
}
