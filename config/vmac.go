package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// vmacBlock is a `vmac` block within a `vrrp` block.
type vmacBlock struct {
	At        hcl.Range    `hcl:",def_range"`
	Interface attr[ifname] `hcl:"interface,optional" unset:"vrrp.ID, vrrp6.ID with IPv6"`
	Accept    attr[bool]   `hcl:"accept,optional" default:"true"`
	XmitBase  attr[bool]   `hcl:"xmit_base,optional" default:"false"`
}

// settings returns the plain values, nil without the block.
func (b *vmacBlock) settings(f vrrp.Family, virtualRouterID uint8) *vrrp.VMAC {
	if b == nil {
		return nil
	}
	v := &vrrp.VMAC{Interface: string(b.Interface.value), XmitBase: b.XmitBase.value, NoAccept: !b.Accept.value}
	if !b.Interface.isSet() { // keepalived's names
		v.Interface = fmt.Sprintf("vrrp.%d", virtualRouterID)
		if f == vrrp.IPv6 {
			v.Interface = fmt.Sprintf("vrrp6.%d", virtualRouterID)
		}
	}
	return v
}

func (b *vmacBlock) placeOf(e vrrp.FieldError) (hcl.Range, bool) {
	switch e.Field {
	case "vmac.interface":
		return b.Interface.at(), b.Interface.isOK()
	case "vmac.xmit_base":
		return b.XmitBase.at(), b.XmitBase.isOK()
	}
	return b.At, true
}

// vmacInterfaces rejects names of vmac interfaces that are used for anything else.
func vmacInterfaces(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	used := map[string]string{}
	for _, block := range f.VRRP {
		use := func(name ifname) {
			if name != "" {
				used[string(name)] = fmt.Sprintf("the vrrp block %q at %s", block.Name.value, where(block.At))
			}
		}
		use(block.Interface.value)
		for _, a := range block.AddressBlocks {
			use(a.Interface.value)
		}
		for _, t := range block.TrackInterfaces {
			use(t.Interface.value)
		}
		if block.ConnectionSync != nil {
			use(block.ConnectionSync.Interface.value)
		}
	}
	for block := range each(f.VRRP, &diags) {
		if block.VMAC == nil || !block.VMAC.Interface.isOK() || !block.VirtualRouterID.isOK() || !block.familyIsOK() {
			continue
		}
		name := block.VMAC.settings(block.family(), uint8(block.VirtualRouterID.value)).Interface
		if other := used[name]; other != "" && name != string(block.Interface.value) { // validInstances reports that
			diags = append(diags, problem(block.VMAC.Interface.at(), "Duplicate interface",
				"%s is also used by %s. Set interface in this vmac block to another name; lvs-ha creates the interface.", name, other))
		}
		used[name] = fmt.Sprintf("the vmac block at %s", where(block.VMAC.At))
	}
	return diags
}
