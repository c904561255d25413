package ipvsadm

import "github.com/lvs-ha/lvs-ha/ipvs"

// permit refuses to change what a running lvs-ha owns.
func (s *session) permit(c *command) *failure {
	if c.force {
		return nil
	}
	switch c.verb {
	case addService, editService, deleteService, addServer, editServer, deleteServer:
		return s.permitService(c.service.ServiceKey)
	case flush:
		return s.permitFlush()
	case startDaemon, stopDaemon:
		if s.env.SyncOwner == nil {
			return nil
		}
		if owner, owned := s.env.SyncOwner(); owned {
			return refused("The connection-sync daemons belong to " + owner + " of the running lvs-ha, which would soon put " +
				"them right again.\nChange its configuration and run `lvs-ha reload', or use --force.")
		}
	}
	return nil
}

func (s *session) permitService(key ipvs.ServiceKey) *failure {
	if s.env.Owner == nil {
		return nil
	}
	owner, owned := s.env.Owner(key)
	if !owned {
		return nil
	}
	return refused("The service " + key.String() + " belongs to " + owner + " of the running lvs-ha, which would soon put it " +
		"right again.\nChange its configuration and run `lvs-ha reload', or use --force.")
}

// permitFlush refuses to clear a table that contains an owned service.
func (s *session) permitFlush() *failure {
	if s.env.Owner == nil {
		return nil
	}
	services, err := s.kernel.Table.Services(s.ctx)
	if err != nil {
		return refused(commonTexts.explain(err))
	}
	for _, service := range services {
		if f := s.permitService(service.ServiceKey); f != nil {
			return f
		}
	}
	return nil
}
