package director

import (
	"context"
	"log/slog"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// kernel accesses the table and the sync daemons over one connection.
type kernel struct {
	*ipvs.Client
	daemons
	conn *ipvsnl.Conn
}

// daemons hides the sync client's Close from kernel's methods.
type daemons interface{ connsync.Kernel }

// OpenKernel connects to the IPVS of this network namespace. It returns ipvs.ErrNoIPVS if the kernel has none.
func OpenKernel(ctx context.Context) (Kernel, error) {
	conn, err := ipvsnl.Open(ctx)
	if err != nil {
		return nil, err
	}
	return kernel{ipvs.NewClient(conn), connsync.NewClient(conn), conn}, nil
}

func (k kernel) Close() error { return k.conn.Close() }

// maxSteps limits the logged steps of one comparison: a line takes longer than the step, and the next comparison waits for it.
const maxSteps = 50

// loggedApplier logs the steps that the kernel accepted.
type loggedApplier struct {
	ipvs.Applier
	log *slog.Logger
}

// changeMessage is the log message for a step. Weights that follow the load of servers change all the time: they have a message of
// their own, so that the log's limits do not suppress other changes.
func changeMessage(s ipvs.Step) string {
	if s.Action == ipvs.EditDestination && len(s.Changes) == 1 {
		if c := s.Changes[0]; c.Field == "weight" && c.From != "0" && c.To != "0" {
			return "IPVS weight changed"
		}
	}
	return "IPVS table changed"
}

func (a loggedApplier) Execute(ctx context.Context, steps []ipvs.Step) []error {
	errs := a.Applier.Execute(ctx, steps)
	accepted := 0
	for i, err := range errs {
		if err != nil {
			continue
		}
		if accepted++; accepted <= maxSteps {
			a.log.Info(changeMessage(steps[i]), "step", steps[i].String())
		}
	}
	if accepted > maxSteps {
		a.log.Info("IPVS table changed", "more", accepted-maxSteps)
	}
	return errs
}
