package healthcheck

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

// maxJSON limits the body of a response with a weight, in bytes.
const maxJSON = 8 << 10

// keepStart copies the beginning of what is read, at most maxJSON bytes.
type keepStart struct {
	io.Reader
	start []byte
	over  bool
}

// Read implements io.Reader.
func (k *keepStart) Read(b []byte) (int, error) {
	n, err := k.Reader.Read(b)
	k.over = k.over || len(k.start)+n > maxJSON
	k.start = append(k.start, b[:min(n, maxJSON-len(k.start))]...)
	return n, err
}

// advice returns what a response says about the weight: its header or its body has the number.
func (w *Weight) advice(header string, body *keepStart) (Advice, bool) {
	text := header
	if w.JSON != "" {
		var ok bool
		if text, ok = body.find(w.JSON); !ok {
			return Advice{}, false
		}
	}
	text, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0) {
		return Advice{}, false
	}
	said := Advice{Unit: w.unit(), Number: min(n, maxNumber)}
	if percent {
		said.Unit = Percent
	}
	return said, true
}

// find returns the number or the text at a path such as "load.weight"; a number in it is the index of a list.
func (k *keepStart) find(path string) (string, bool) {
	if k.over {
		return "", false
	}
	d := json.NewDecoder(bytes.NewReader(k.start))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return "", false
	}
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(v) {
				return "", false
			}
			value = v[i]
		default:
			return "", false
		}
	}
	switch v := value.(type) {
	case json.Number:
		return v.String(), true
	case string:
		return v, true
	}
	return "", false
}
