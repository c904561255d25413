package healthcheck_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// envRole selects a benchmark role that this test binary runs instead of tests.
const envRole = "LVS_HA_BENCH_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "servers":
		playServers()
	case "hostile":
		playHostile()
	case "overload":
		playOverload()
	case "holder":
		playHolder()
	case "checker":
		playChecker()
	default:
		goleak.VerifyTestMain(m)
	}
}
