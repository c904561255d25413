package resident

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestReleaseProgram: the program goes on with fewer pages of its file.
func TestReleaseProgram(t *testing.T) {
	resident := func() int {
		text, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "RssFile:")
		kb, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return kb
	}
	before := resident()
	if size := releaseProgram(); size < 1<<20 {
		t.Errorf("%d bytes were unmapped", size)
	}
	if after := resident(); after >= before {
		t.Errorf("%d kB of files are mapped, before %d", after, before)
	}
}
