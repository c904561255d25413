package speaker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Leftovers finds and removes virtual addresses left behind by a killed speaker.
type Leftovers struct{}

// Present returns the virtual addresses of instances that are on their interfaces, each with its interface.
func (Leftovers) Present(instances []vrrp.Instance) (present []vrrp.Address, err error) {
	err = withAddresses(func(_ *kernelAddresses, interfaces map[string]netInterface) error {
		for i := range instances {
			in := instances[i]
			in.PlaceOnVMAC()
			for _, a := range in.Addresses {
				at := keyOf(&in).place(a)
				for _, found := range interfaces[at.Interface].Addresses {
					if at.satisfiedBy(found.Prefix) {
						present = append(present, vrrp.Address{Prefix: found.Prefix, Interface: at.Interface, Peer: a.Peer})
					}
				}
			}
		}
		return nil
	})
	return present, err
}

// Remove removes the addresses returned by Present and the macvlans that they are on, and before them all routes and rules of
// this program.
func (Leftovers) Remove(addresses []vrrp.Address) error {
	h, err := host.Open(netlinkTimeout)
	if err != nil {
		return fmt.Errorf("virtual addresses: %w", err)
	}
	defer h.Close()
	links := newMacvlans(h)
	return withAddresses(func(kernel *kernelAddresses, interfaces map[string]netInterface) error {
		errs := []error{removeRouting()}
		// In reverse order: with a subnet's first address, the kernel also deletes the others.
		for _, a := range slices.Backward(addresses) {
			if index := interfaces[a.Interface].Index; index != 0 {
				errs = append(errs, kernel.Remove(index, a))
			}
		}
		for _, a := range addresses {
			errs = append(errs, links.Discard(a.Interface))
		}
		return errors.Join(errs...)
	})
}

func removeRouting() error {
	batch, err := newBatcher()
	if err != nil {
		return err
	}
	defer batch.close()
	kernel := &kernelRouting{batch: batch}
	present, err := kernel.List()
	var entries []entry
	for _, p := range present {
		entries = append(entries, p.entry)
	}
	return errors.Join(err, kernel.Unset(entries))
}

func withAddresses(f func(kernel *kernelAddresses, interfaces map[string]netInterface) error) error {
	kernel, err := newKernelAddresses()
	if err != nil {
		return fmt.Errorf("virtual addresses: %w", err)
	}
	defer kernel.Close()
	table, err := listInterfaces(kernel.handle)
	if err != nil {
		return fmt.Errorf("virtual addresses: %w", err)
	}
	return f(kernel, table.byName())
}
