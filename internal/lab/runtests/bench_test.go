package main

import "testing"

func TestIsResult(t *testing.T) {
	for line, want := range map[string]bool{
		"BenchmarkParse-2   \t 3000000\t       403 ns/op\n":            true,
		"BenchmarkHostBeside/tcp-2 \t 1\t 21.70 MB-rss\t 0.57 ratio\n": true,
		"BenchmarkHostBeside/tcp\n":                                    false,
		"ok  \texample.org/x\t1.0s\n":                                  false,
	} {
		if got := isResult([]byte(line)); got != want {
			t.Errorf("%q is a result: %t, want %t", line, got, want)
		}
	}
}
