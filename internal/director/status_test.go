package director

import (
	"context"

	"github.com/lvs-ha/lvs-ha/internal/api"
)

// Status returns the director's state with current counters of kernel and speaker.
func (d *Director) Status(ctx context.Context) (api.Status, error) {
	status, services, err := d.Survey(ctx)
	if err != nil {
		return api.Status{}, err
	}
	for v := range services {
		status.Services = append(status.Services, v.Clone())
	}
	return status, nil
}
