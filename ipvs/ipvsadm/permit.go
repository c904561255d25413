package ipvsadm

import "github.com/lvs-ha/lvs-ha/ipvs"

// permit refuses to touch what a running lvs-ha owns.
func (s *session) permit(c *command) *failure {
	if c.force {
		return nil
	}
	switch c.verb {
	case addService, editService, deleteService, addServer, editServer, deleteServer:
		return s.permitService(c.verb, c.service.ServiceKey)
	case flush:
		return s.permitFlush()
	case startDaemon, stopDaemon:
		if s.env.SyncOwner == nil {
			return nil
		}
		if owner, owned := s.env.SyncOwner(); owned {
			return refused("The connection-sync daemons belong to " + owner + " of the running lvs-ha, which would put them " +
				"right at once.\nChange its configuration and run `lvs-ha reload', or use --force.")
		}
	}
	return nil
}

func (s *session) permitService(v verb, key ipvs.ServiceKey) *failure {
	if s.env.Owner == nil {
		return nil
	}
	owner, owned := s.env.Owner(key)
	if !owned {
		return nil
	}
	instead := "Change its configuration and run `lvs-ha reload'"
	switch v {
	case addServer, editServer, deleteServer:
		instead = "Use `lvs-ha drain', `lvs-ha enable', `lvs-ha disable' or `lvs-ha weight'"
	}
	return refused("The service " + key.String() + " belongs to " + owner + " of the running lvs-ha, which would put it " +
		"right at once.\n" + instead + ", or use --force.")
}

// permitFlush refuses to clear a table with an owned service.
func (s *session) permitFlush() *failure {
	if s.env.Owner == nil {
		return nil
	}
	table, err := s.kernel.Table.Table(s.ctx)
	if err != nil {
		return refused(commonTexts.explain(err))
	}
	for _, service := range table {
		if f := s.permitService(flush, service.ServiceKey); f != nil {
			return f
		}
	}
	return nil
}
