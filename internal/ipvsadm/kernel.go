package ipvsadm

import (
	"context"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// Table is the kernel's table.
type Table interface {
	ipvs.Applier
	Services(ctx context.Context) ([]ipvs.ServiceState, error)
	Service(ctx context.Context, key ipvs.ServiceKey) (ipvs.ServiceState, error)
	EachDestination(ctx context.Context, services []ipvs.ServiceKey, begin func(i int), each func(i int, d *ipvs.DestinationState)) error
	Flush(ctx context.Context) error
	Zero(ctx context.Context, key ipvs.ServiceKey) error
	ZeroAll(ctx context.Context) error
}

// Settings are the kernel's settings besides the table.
type Settings interface {
	Info(ctx context.Context) (ipvs.Info, error)
	Timeouts(ctx context.Context) (ipvs.Timeouts, error)
	SetTimeouts(ctx context.Context, t ipvs.Timeouts) error
}

// Kernel is everything in the kernel that ipvsadm uses.
type Kernel struct {
	Table    Table
	Settings Settings
	Daemons  connsync.Kernel
	Close    func() error
}

// OpenKernel connects to the kernel in the network namespace of the calling thread.
func OpenKernel(ctx context.Context) (Kernel, error) {
	conn, err := ipvsnl.Open(ctx)
	if err != nil {
		return Kernel{}, err
	}
	client := ipvs.NewClient(conn)
	return Kernel{Table: client, Settings: client, Daemons: connsync.NewClient(conn), Close: conn.Close}, nil
}
