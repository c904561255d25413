package keepalived

import (
	"bufio"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// tableFiles are the files that name routing tables for ip(8) and keepalived; a later name replaces an earlier one.
var tableFiles = []string{
	"/usr/share/iproute2/rt_tables", "/usr/share/iproute2/rt_tables.d/*.conf", "/etc/iproute2/rt_tables", "/etc/iproute2/rt_tables.d/*.conf",
}

// Tables returns the numbers of the routing tables that this host has names for.
func Tables() map[string]uint32 { return readTables(disk{}) }

func readTables(files Files) map[string]uint32 {
	tables := map[string]uint32{}
	for _, pattern := range tableFiles {
		paths := []string{pattern}
		if strings.Contains(path.Base(pattern), "*") {
			paths, _ = files.Glob(pattern)
		}
		for _, p := range slices.Sorted(slices.Values(paths)) {
			if text, err := files.Read(p); err == nil {
				maps.Copy(tables, parseTables(string(text)))
			}
		}
	}
	return tables
}

// parseTables reads lines with a number and a name.
func parseTables(text string) map[string]uint32 {
	tables := map[string]uint32{}
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		if n, err := strconv.ParseUint(words[0], 0, 32); err == nil && n > 0 {
			tables[words[1]] = uint32(n)
		}
	}
	return tables
}
