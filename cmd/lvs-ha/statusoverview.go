package main

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
)

// manyServers is the number of real servers above which a status shows only how many there are: nobody reads a longer table.
const manyServers = 1000

func realServers(o api.Overview) (n int) {
	for i := range o.Services {
		n += o.Services[i].Servers.All
	}
	return n
}

// overview returns a status without single real servers as text.
func (p *statusPage) overview(o api.Overview) string {
	p.all = o.VRRP
	p.head(api.Status{Version: o.Version, Node: o.Node, Started: o.Started, Config: o.Config, VRRP: o.VRRP, Sync: o.Sync, Notify: o.Notify}, o.Troubles, len(o.Troubles)+o.More)
	rows := [][]string{{"SERVICE", "ADDRESS", "SCHEDULER", "STATE", "SERVERS UP", "DOWN", "BY ORDER", "ACTIVE", "INACTIVE"}}
	for i := range o.Services {
		v := &o.Services[i]
		state := v.Quorum.State.String()
		switch {
		case !v.Present:
			state = "not in the kernel"
		case v.Quorum.State == healthcheck.Down:
			state = "quorum lost"
		}
		c := v.Servers
		rows = append(rows, []string{v.Name, v.Address, v.Scheduler, state, fmt.Sprintf("%d of %d", c.Up, c.All), fmt.Sprint(c.Down), fmt.Sprint(c.Overridden),
			fmt.Sprint(c.Active), fmt.Sprint(c.Inactive)})
	}
	p.table(rows)
	fmt.Fprintf(&p.out, "%d real servers; to see them, name services, or use --state down\n", realServers(o))
	if o.Foreign > 0 {
		fmt.Fprintf(&p.out, "%s: not in this configuration, left alone\n", counted(o.Foreign, "foreign service"))
	}
	return p.out.String()
}
