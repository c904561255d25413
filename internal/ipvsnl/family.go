package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The family's name, version and module (include/uapi/linux/ip_vs.h).
const (
	familyName    = "IPVS"
	familyVersion = 1
	moduleName    = "ip_vs"
)

// ErrNoIPVS means that the kernel has no IPVS and the module could not be loaded.
var ErrNoIPVS = errors.New("this kernel has no IPVS: run `modprobe ip_vs` (the module is in the package linux-image on Debian, " +
	"linux-modules-extra on Ubuntu, kernel-modules-core on Fedora; in a container, run it on the host)")

// resolve looks up the family's number. If the kernel has a module loader, it loads the module itself; otherwise resolve
// runs modprobe.
func (s *socket) resolve(ctx context.Context) error {
	number, err := s.controller(ctx)
	if errors.Is(err, os.ErrNotExist) {
		if err := loadModule(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrNoIPVS, err)
		}
		number, err = s.controller(ctx)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ErrNoIPVS
	case err != nil:
		return fmt.Errorf("asking the kernel for its netlink family %s: %w", familyName, err)
	case number == 0:
		return fmt.Errorf("the kernel gave no number for its netlink family %s", familyName)
	}
	s.family = number
	s.resolved.Store(true)
	return nil
}

// controller queries generic netlink's controller for the family.
func (s *socket) controller(ctx context.Context) (number uint16, err error) {
	ae := netlink.NewAttributeEncoder()
	ae.String(unix.CTRL_ATTR_FAMILY_NAME, familyName)
	attributes, err := ae.Encode()
	if err != nil {
		return 0, err
	}
	r := Request{Command: unix.CTRL_CMD_GETFAMILY, Attributes: attributes}
	err = s.ask(ctx, unix.GENL_ID_CTRL, 1, r, 0, func(answer []byte) error {
		ad, err := netlink.NewAttributeDecoder(answer)
		if err != nil {
			return err
		}
		for ad.Next() {
			if ad.Type() == unix.CTRL_ATTR_FAMILY_ID {
				number = ad.Uint16()
			}
		}
		return ad.Err()
	})
	return number, err
}

// loadModule runs modprobe. It is a variable so that tests do not load modules.
var loadModule = func(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "modprobe", "--quiet", moduleName)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return fmt.Errorf("modprobe %s: %w: %s", moduleName, err, text)
	}
	return fmt.Errorf("modprobe %s: %w", moduleName, err)
}
