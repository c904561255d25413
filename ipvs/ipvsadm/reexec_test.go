package ipvsadm_test

import (
	"context"
	"os"
	"testing"

	"github.com/lvs-ha/lvs-ha/ipvs/ipvsadm"
)

// asIpvsadm in the environment makes the test binary be ipvsadm, for what must be compared as a process.
const asIpvsadm = "LVS_HA_BE_IPVSADM"

func TestMain(m *testing.M) {
	if os.Getenv(asIpvsadm) != "" {
		os.Exit(ipvsadm.Main(context.Background(), os.Args[1:], ipvsadm.Environment{}))
	}
	os.Exit(m.Run())
}
