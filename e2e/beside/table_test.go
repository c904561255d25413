package beside

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// table is printed to standard output, because the testing package shortens the logs of benchmarks.
type table struct {
	title string
	rows  [][]string
}

func newTable(title string, heading ...string) *table { return &table{title, [][]string{heading}} }

func (t *table) add(cells ...any) {
	var row []string
	for _, c := range cells {
		row = append(row, fmt.Sprint(c))
	}
	t.rows = append(t.rows, row)
}

func (t *table) print() {
	fmt.Printf("\n%s\n", t.title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond))
}

// ratio returns ours / theirs with the quotient.
func ratio(format string, ours, theirs float64) string {
	return fmt.Sprintf(format+" / "+format+" = %.2f", ours, theirs, ours/theirs)
}
