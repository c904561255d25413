package pool

import (
	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// Memory is what a verdict must know about the last one on the same service. The zero value is no memory.
type Memory struct {
	Quorum healthcheck.State // the last one that was known
}

func (in Inputs) remember(v Verdict, vs config.VirtualService) Memory {
	m := Memory{Quorum: v.Quorum.State}
	if m.Quorum == healthcheck.Unknown {
		m.Quorum = in.Memories[vs.ServiceKey].Quorum
	}
	return m
}
