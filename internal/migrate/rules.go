package migrate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvsadm"
)

// maxLine bounds a line of rules, in bytes. The longest that ipvsadm writes has some 200.
const maxLine = 64 << 10

// readRules carries out rules on a table in memory, line by line, as `ipvsadm -R` would on the kernel's. Empty lines and
// comments are passed over. The error names every line that is wrong.
func readRules(ctx context.Context, r io.Reader, names ipvsadm.Names) (*memory, error) {
	m := &memory{at: map[ipvs.ServiceKey]*service{}}
	var errs []error
	input := bufio.NewScanner(r)
	input.Buffer(nil, maxLine)
	for number := 1; input.Scan(); number++ {
		m.now = line{number, strings.TrimSpace(input.Text())}
		if m.now.text == "" || strings.HasPrefix(m.now.text, "#") {
			continue
		}
		if err := m.carryOut(ctx, names); err != nil {
			errs = append(errs, err)
		}
	}
	if err := input.Err(); err != nil {
		errs = append(errs, fmt.Errorf("line %d: reading the rules: %w", m.now.number+1, err))
	}
	return m, errors.Join(errs...)
}

// carryOut does what the line of now says.
func (m *memory) carryOut(ctx context.Context, names ipvsadm.Names) error {
	var stdout, stderr bytes.Buffer
	status := ipvsadm.Main(ctx, []string{"-R"}, ipvsadm.Environment{
		Stdin:  strings.NewReader(m.now.text + "\n"),
		Stdout: &stdout, Stderr: &stderr,
		Open:        m.kernel,
		Connections: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil },
		Names:       names,
	})
	switch {
	case status != 0:
		return fmt.Errorf("line %d: %s: %s", m.now.number, plainly(stderr.String()), printable(m.now.text))
	case stdout.Len() > 0:
		m.lose("it only prints something")
	}
	return nil
}

// plainly turns what ipvsadm says into what helps with a file of rules.
func plainly(said string) string {
	said, _, _ = strings.Cut(strings.TrimSpace(said), "\n")
	switch {
	case strings.HasPrefix(said, "Try "):
		return "no rule of ipvsadm, as -A or -a with their options"
	case strings.HasPrefix(said, "illegal virtual server address"), strings.HasPrefix(said, "illegal real server address"):
		return said + " (names must resolve here; `ipvsadm -S -n` writes numbers)"
	}
	return said
}
