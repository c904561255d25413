package director

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
	newBench(t) // uses much of the program
	before := resident()
	if size := releaseProgram(); size < 4<<20 {
		t.Errorf("%d bytes were unmapped", size)
	}
	if after := resident(); after >= before {
		t.Errorf("%d kB of files are mapped, before %d", after, before)
	}
}
