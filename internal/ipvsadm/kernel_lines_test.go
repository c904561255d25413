package ipvsadm_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// words splits a line like a shell that supports single quotes only.
func words(line string) []string {
	var list []string
	var word strings.Builder
	quoted, open := false, false
	for _, c := range line {
		switch {
		case c == '\'':
			quoted, open = !quoted, true
		case c == ' ' && !quoted:
			if open {
				list = append(list, word.String())
				word.Reset()
			}
			open = false
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if open {
		list = append(list, word.String())
	}
	return list
}

// TestKernelCommandLines runs the command lines of a file, in order, against one table and compares the results. A line
// "list" compares all listings. A line that begins with "<" is the input of the next one.
func TestKernelCommandLines(t *testing.T) {
	r := newRivals(t)
	f, err := os.Open("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stdin := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '<':
			stdin = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\0`, "\x00", `\v`, "\v", `\f`, "\f", `\\`, `\`).Replace(line[1:])
		case line == "list":
			r.list(t, true)
		default:
			r.run(t, stdin, words(line)...)
			stdin = ""
		}
	}
	t.Logf("%d command lines and listings compared", r.compared)
}
