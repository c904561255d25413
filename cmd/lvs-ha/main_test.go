package main

import (
	"flag"
	"fmt"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

var update = flag.Bool("update", false, "write the output of commands into the scripts that compare it")

// TestMain makes this test binary the program that the scripts run, and that `lvs-ha run` starts its workers from.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lvs-ha": main})
}

// TestScripts runs the stories in testdata/script, each a feature of the command line. None of them needs root.
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
