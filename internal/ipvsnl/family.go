package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
)

// netlinkGeneric is NETLINK_GENERIC (include/uapi/linux/netlink.h).
const netlinkGeneric = genetlink.Protocol

// The family's name, version and module (include/uapi/linux/ip_vs.h).
const (
	familyName    = "IPVS"
	familyVersion = 1
	moduleName    = "ip_vs"
)

// ErrNoIPVS says that the kernel has no IPVS and could not be given it.
var ErrNoIPVS = errors.New("this kernel has no IPVS: run `modprobe ip_vs` (the module is in the package linux-image on Debian, " +
	"linux-modules-extra on Ubuntu, kernel-modules-core on Fedora; in a container, run it on the host)")

// resolve asks for the family's number. The kernel loads the module for that by itself where it has a module loader;
// where it has not, resolve runs modprobe.
func resolve(ctx context.Context, nl *netlink.Conn) (uint16, error) {
	gnl := genetlink.NewConn(nl)
	family, err := gnl.GetFamily(familyName)
	if errors.Is(err, os.ErrNotExist) {
		if err := loadModule(ctx); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrNoIPVS, err)
		}
		family, err = gnl.GetFamily(familyName)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, ErrNoIPVS
	case err != nil:
		return 0, fmt.Errorf("asking the kernel for its netlink family %s: %w", familyName, err)
	case family.ID == 0:
		return 0, fmt.Errorf("the kernel gave no number for its netlink family %s", familyName)
	}
	return family.ID, nil
}

// loadModule runs modprobe. It is a variable so that tests neither load nor need modules.
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
