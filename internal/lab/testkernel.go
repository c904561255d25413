package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// TestKernelModules returns the kernel modules for a test kernel that runs tests: those of a director, and those for
// building networks.
func TestKernelModules() []string {
	return slices.Concat(DirectorModules(), []string{
		"veth", "bridge", "vrf", "sch_netem",
		"ip_vs_lblc", "ip_vs_lblcr", "ip_vs_dh", "ip_vs_sed", "ip_vs_nq", "ip_vs_fo", "ip_vs_ovf",
		"ip_vs_ftp", "ip_vs_pe_sip", "nf_conntrack_netlink",
		"iptable_filter", "ip6table_mangle", "ip6table_nat", "ip6table_filter", "ipt_REJECT", "ip6t_REJECT", "xt_conntrack", "xt_MASQUERADE", "xt_ipvs",
	})
}

// TestKernel is a kernel with IPVS but without a lab, for programs that use the whole machine.
type TestKernel struct {
	*Machine
	lab *Lab
}

// BootTestKernel boots a test kernel on a core, numbered from 1, or on any if it is 0. Close powers it off.
func BootTestKernel(ctx context.Context, memoryMB, core int) (*TestKernel, error) {
	l, err := New("testkernel")
	if err != nil {
		return nil, err
	}
	m, err := l.NewMachine(DirectorConfig{Name: "testkernel", Modules: TestKernelModules(), MemoryMB: memoryMB, CPU: core})
	if err == nil {
		err = m.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &TestKernel{Machine: m, lab: l}, nil
}

// Close powers the kernel off, even if programs are running.
func (k *TestKernel) Close() error { return k.lab.Close() }

// RunInTestKernel boots a test kernel, runs one command in it, copies its output, and returns its exit status. It is an
// error if the context ends first or the kernel dies; the kernel is then removed.
func RunInTestKernel(ctx context.Context, memoryMB int, c Command) (status int, err error) {
	k, err := BootTestKernel(ctx, memoryMB, 0)
	if err != nil {
		return -1, fmt.Errorf("boot the test kernel: %w", err)
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	p, err := k.Spawn(ctx, c)
	if err != nil {
		return -1, err
	}
	<-p.Done()
	status, err = p.Wait(context.WithoutCancel(ctx))
	if err != nil {
		err = fmt.Errorf("%w; the test kernel's console: %q", errors.Join(context.Cause(ctx), err), k.Console())
	}
	return status, err
}
