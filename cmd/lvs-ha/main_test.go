package main

import (
	"flag"
	"fmt"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

var update = flag.Bool("update", false, "write the output of commands into the scripts that compare it")

// TestMain lets this test binary act as lvs-ha, for scripts and for workers of `lvs-ha run`.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lvs-ha": main})
}

// TestScripts runs the scripts in testdata/script, one per command-line feature. None requires root.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(condition string) (bool, error) {
			if condition == "ipvs" {
				return lab.HasIPVS() == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
	})
}
