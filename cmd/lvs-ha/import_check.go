package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/convert"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/effect"
)

// checkImported prints what keepalived makes of each configuration and lvs-ha of the imported one, as one diff.
func checkImported(out, errOut io.Writer, sources []convert.Source, o convert.Options) error {
	o.WithoutFiles = true
	r := convert.Convert(sources, o)
	same, different := 0, 0
	b := bufio.NewWriter(out)
	for _, s := range sources {
		cfg, diags := config.LoadText("lvs-ha.hcl", r.HCL, config.Options{Node: cmp.Or(s.Node, shortHostname())})
		if cfg == nil {
			return &exitError{1, fmt.Errorf("the result has errors:\n%w", diags.Err())}
		}
		fmt.Fprintf(b, "--- keepalived: %s\n+++ lvs-ha: the imported configuration", s.Config.Files[0])
		if s.Node != "" {
			fmt.Fprintf(b, " on %s", s.Node)
		}
		b.WriteByte('\n')
		theirs, ours := effect.Keepalived(s.Config, effect.ThisHost), effect.LVSHA(cfg, effect.ThisHost)
		for _, section := range effect.Sections {
			objects := effect.Compare(section.Of(theirs), section.Of(ours))
			if len(objects) > 0 {
				fmt.Fprintf(b, "@@ %s @@\n", section.Title)
			}
			for _, d := range objects {
				if d.Mark == ' ' {
					same++
				} else {
					different++
				}
				for line := range strings.Lines(d.Text) {
					fmt.Fprintf(b, "%c%s\n", d.Mark, visible(line))
				}
			}
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing the comparison: %w", err)
	}
	fmt.Fprintf(errOut, "%d the same, %d different\n", same, different)
	if different > 0 {
		return &exitError{status: importPartial}
	}
	return nil
}

// visible returns a line with other characters in place of those that could move a terminal's cursor.
func visible(line string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, strings.TrimRight(line, "\n"))
}
