package config

import (
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/gocty"
)

// cidrHostFunction is cidrhost(prefix, number): an address of a network; negative numbers count from its end.
var cidrHostFunction = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "number", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := netip.ParsePrefix(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgError(0, err)
		}
		number, err := wholeNumber(args[1])
		if err != nil {
			return cty.NilVal, function.NewArgError(1, err)
		}
		address, err := cidrHost(prefix.Masked(), number)
		if err != nil {
			return cty.NilVal, function.NewArgError(1, err)
		}
		return cty.StringVal(address.String()), nil
	},
})

// cidrNetmaskFunction is cidrnetmask(prefix): the netmask of an IPv4 prefix.
var cidrNetmaskFunction = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := netip.ParsePrefix(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgError(0, err)
		}
		if !prefix.Addr().Is4() {
			return cty.NilVal, function.NewArgErrorf(0, "IPv6 has no netmasks")
		}
		return cty.StringVal(net.IP(net.CIDRMask(prefix.Bits(), 32)).String()), nil
	},
})

// cidrSubnetFunction is cidrsubnet(prefix, newbits, number): a subnet of a network.
var cidrSubnetFunction = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "prefix", Type: cty.String}, {Name: "newbits", Type: cty.Number}, {Name: "number", Type: cty.Number},
	},
	Type: function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := netip.ParsePrefix(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgError(0, err)
		}
		var newBits int
		if err := gocty.FromCtyValue(args[1], &newBits); err != nil {
			return cty.NilVal, function.NewArgError(1, err)
		}
		bits := prefix.Bits() + newBits
		if newBits < 0 || newBits > 128 || bits > prefix.Addr().BitLen() {
			return cty.NilVal, function.NewArgErrorf(1, "%d more bits than /%d do not fit in an address of %d",
				newBits, prefix.Bits(), prefix.Addr().BitLen())
		}
		number, err := wholeNumber(args[2])
		if err != nil {
			return cty.NilVal, function.NewArgError(2, err)
		}
		if number.Sign() < 0 || number.BitLen() > newBits {
			return cty.NilVal, function.NewArgErrorf(2, "%s does not fit in %d bits", number, newBits)
		}
		offset := number.Lsh(number, uint(prefix.Addr().BitLen()-bits))
		address, err := cidrHost(prefix.Masked(), offset)
		if err != nil {
			return cty.NilVal, err
		}
		return cty.StringVal(netip.PrefixFrom(address, bits).String()), nil
	},
})

// wholeNumber returns an integer of at most 128 bits.
func wholeNumber(value cty.Value) (*big.Int, error) {
	number := value.AsBigFloat()
	if number.IsInf() || !number.IsInt() || number.MantExp(nil) > 128 {
		return nil, errors.New("a whole number of at most 128 bits is required")
	}
	whole, _ := number.Int(nil)
	return whole, nil
}

var errOutsidePrefix = errors.New("outside the network")

// cidrHost returns the address with a number in a network.
func cidrHost(prefix netip.Prefix, number *big.Int) (netip.Addr, error) {
	hostBits := uint(prefix.Addr().BitLen() - prefix.Bits())
	size := new(big.Int).Lsh(big.NewInt(1), hostBits)
	offset := new(big.Int).Set(number)
	if offset.Sign() < 0 {
		offset.Add(offset, size)
	}
	if offset.Sign() < 0 || offset.Cmp(size) >= 0 {
		return netip.Addr{}, fmt.Errorf("number %s is %w %s", number, errOutsidePrefix, prefix)
	}
	base := new(big.Int).SetBytes(prefix.Addr().AsSlice())
	bytes := base.Add(base, offset).FillBytes(make([]byte, prefix.Addr().BitLen()/8))
	address, _ := netip.AddrFromSlice(bytes)
	return address, nil
}
