package metrics

import (
	"bufio"
	"io"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/ahead"
	"github.com/lvs-ha/lvs-ha/internal/histogram"
)

// kind is the type of a family in Prometheus's text format, version 0.0.4.
type kind string

const (
	gauge   kind = "gauge"
	counter kind = "counter"

	histogramKind kind = "histogram"
)

// writer writes metrics. It keeps the first error, after which it writes nothing.
type writer struct {
	to    io.Writer
	out   *bufio.Writer // to it
	name  string
	names []string // of the labels
}

func newWriter(w io.Writer) *writer { return &writer{to: w, out: bufio.NewWriterSize(w, 64<<10)} }

// direct is the length of lines that are written without a copy.
const direct = 16 << 10

// family begins a family: its name, without the prefix of all, its type and the names of its labels. Its samples follow.
func (w *writer) family(k kind, name, help string, labels ...string) {
	w.name, w.names = prefix+name, labels
	w.out.Write(appendHeader(w.out.AvailableBuffer(), k, w.name, help))
}

const prefix = "lvs_ha_" // of all names

func appendHeader(lines []byte, k kind, name, help string) []byte {
	return append(lines, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+string(k)+"\n"...)
}

// sample writes a sample of the current family with the values of its labels.
func (w *writer) sample(value float64, labels ...string) {
	line := append(w.out.AvailableBuffer(), w.name...)
	w.out.Write(appendValue(appendLabels(line, w.names, labels), value))
}

// sampleOf writes a sample with labels that are formatted already.
func (w *writer) sampleOf(labels []byte, value float64) {
	w.out.Write(appendSample(w.out.AvailableBuffer(), w.name, labels, value))
}

// appendSample appends a sample with labels that are formatted already.
func appendSample(lines []byte, name string, labels []byte, value float64) []byte {
	return appendValue(append(append(lines, name...), labels...), value)
}

// parallel writes the lines that appendLines appends for 0 to n-1, in order. It calls it in several goroutines.
func (w *writer) parallel(n int, appendLines func(lines []byte, i int) []byte) {
	ahead.Each(runtime.GOMAXPROCS(0), n, func() func(i int) []byte {
		var memory []byte
		return func(i int) []byte {
			memory = appendLines(memory[:0], i)
			return memory
		}
	}, func(lines []byte) bool {
		if len(lines) < direct {
			_, err := w.out.Write(lines)
			return err == nil
		}
		if w.out.Flush() != nil {
			return false
		}
		_, err := w.to.Write(lines)
		return err == nil
	})
}

// appendValue completes a line.
func appendValue(line []byte, value float64) []byte {
	line = append(line, ' ')
	if whole := uint64(value); value >= 0 && float64(whole) == value && whole < 1<<53 {
		line = strconv.AppendUint(line, whole, 10)
	} else {
		line = strconv.AppendFloat(line, value, 'g', -1, 64)
	}
	return append(line, '\n')
}

// bounds are the upper bounds of buckets in seconds, as labels.
var bounds = func() (texts []string) {
	for _, b := range histogram.Bounds {
		texts = append(texts, strconv.FormatFloat(b.Seconds(), 'g', -1, 64))
	}
	return append(texts, "+Inf")
}()

// histogram writes a sample of the current family, a histogram in seconds.
func (w *writer) histogram(h *histogram.Histogram, labels ...string) {
	name, names := w.name, w.names
	var count uint64
	w.name, w.names = name+"_bucket", append(slices.Clone(names), "le")
	for i, n := range h.Counts {
		count += n
		w.sample(float64(count), append(slices.Clone(labels), bounds[i])...)
	}
	w.name, w.names = name+"_sum", names
	w.sample(h.Sum.Seconds(), labels...)
	w.name = name + "_count"
	w.sample(float64(count), labels...)
	w.name = name
}

func (w *writer) flag(set bool, labels ...string) {
	value := 0.0
	if set {
		value = 1
	}
	w.sample(value, labels...)
}

// time writes a time in seconds since 1970; nothing if it is unknown.
func (w *writer) time(t time.Time, labels ...string) {
	if !t.IsZero() {
		w.sample(float64(t.UnixMilli())/1000, labels...)
	}
}

func (w *writer) flush() error { return w.out.Flush() }

// labelsOf formats labels that are used for many samples.
func labelsOf(names []string, values ...string) []byte {
	return appendLabels(nil, names, values)
}

// texts keeps many short texts in few pieces of memory.
type texts struct{ piece []byte }

const pieceSize = 64 << 10

// labels formats labels that are used for many samples.
func (t *texts) labels(names []string, values ...string) []byte {
	if cap(t.piece)-len(t.piece) < pieceSize/16 {
		t.piece = make([]byte, 0, pieceSize)
	}
	text := appendLabels(t.piece[len(t.piece):], names, values)
	if len(text) <= cap(t.piece)-len(t.piece) { // otherwise it has memory of its own
		t.piece = t.piece[:len(t.piece)+len(text)]
	}
	return text[:len(text):len(text)]
}

func appendLabels(line []byte, names, values []string) []byte {
	for i, text := range values {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		line = append(line, separator)
		line = append(line, names[i]...)
		line = append(line, '=', '"')
		line = appendLabel(line, text)
		line = append(line, '"')
	}
	if len(values) > 0 {
		line = append(line, '}')
	}
	return line
}

// appendLabel appends the value of a label, escaped.
func appendLabel(line []byte, text string) []byte {
	if isPlain(text) {
		return append(line, text...)
	}
	for _, r := range text {
		switch r {
		case '\\', '"':
			line = append(line, '\\', byte(r))
		case '\n':
			line = append(line, '\\', 'n')
		default:
			line = append(line, string(r)...)
		}
	}
	return line
}

func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
