package speaker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	nftTable = "lvs-ha"
	nftChain = "input"
	nftSet   = "addresses"

	// nftPriority is after IPVS, which takes the packets of virtual services at priorities 98 and 99 of this hook (linux:
	// net/netfilter/ipvs/ip_vs_core.c, ip_vs_ops4).
	nftPriority = 110

	nftTimeout  = time.Second
	nftElements = 500 // of a message: the length of an attribute has 16 bits
)

// nftFamily describes the rules of an address family.
type nftFamily struct {
	protocol      uint8  // NFPROTO_IPV4 or NFPROTO_IPV6
	keyType       uint32 // nft's type of the set, for its output
	length, daddr uint32 // of an address, and the offset of the destination in the header
	discovery     bool   // neighbour discovery is accepted
}

var (
	nftIPv4 = nftFamily{protocol: unix.NFPROTO_IPV4, keyType: 7, length: 4, daddr: ipv4DestAt}
	nftIPv6 = nftFamily{protocol: unix.NFPROTO_IPV6, keyType: 8, length: 16, daddr: 24, discovery: true}
)

// dropPackets makes the kernel drop packets to addresses of this host, except neighbour discovery, instead of those of the
// last call: with a zone, those that arrive on that interface. It is one transaction for each family.
func dropPackets(addresses []netip.Addr) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	defer conn.Close()
	for _, f := range []nftFamily{nftIPv4, nftIPv6} {
		var list []netip.Addr
		for _, a := range addresses {
			if uint32(a.BitLen()/8) == f.length {
				list = append(list, a)
			}
		}
		if err := f.replace(conn, list); err != nil {
			return err
		}
	}
	return nil
}

// replace replaces the table of a family, or removes it if there are no addresses. To remove a table that may not exist, it
// is created first.
func (f nftFamily) replace(conn *netlink.Conn, addresses []netip.Addr) error {
	zoned := slices.Clone(addresses)
	addresses = slices.DeleteFunc(addresses, func(a netip.Addr) bool { return a.Zone() != "" })
	zoned = slices.DeleteFunc(zoned, func(a netip.Addr) bool { return a.Zone() == "" })
	table := func(e *netlink.AttributeEncoder) { e.String(unix.NFTA_TABLE_NAME, nftTable) }
	batch := nftBatch{family: f.protocol}
	batch.add(unix.NFT_MSG_NEWTABLE, table)
	batch.add(unix.NFT_MSG_DELTABLE, table)
	if len(addresses)+len(zoned) > 0 {
		batch.add(unix.NFT_MSG_NEWTABLE, table)
		batch.add(unix.NFT_MSG_NEWCHAIN, nftInput)
		batch.add(unix.NFT_MSG_NEWSET, f.set)
		for some := range slices.Chunk(addresses, nftElements) {
			batch.add(unix.NFT_MSG_NEWSETELEM, func(e *netlink.AttributeEncoder) { nftMembers(e, some) })
		}
		if f.discovery {
			batch.add(unix.NFT_MSG_NEWRULE, func(e *netlink.AttributeEncoder) { nftRule(e, nftAcceptDiscovery) })
		}
		batch.add(unix.NFT_MSG_NEWRULE, func(e *netlink.AttributeEncoder) { nftRule(e, f.dropMembers) })
		for _, a := range zoned {
			batch.add(unix.NFT_MSG_NEWRULE, func(e *netlink.AttributeEncoder) { nftRule(e, func(x *nftExpressions) { f.dropOn(x, a) }) })
		}
	}
	err := batch.send(conn)
	switch {
	case len(addresses)+len(zoned) == 0 && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT)):
		return nil // a kernel without nftables has no table
	case err != nil:
		return fmt.Errorf("replace nftables table %s: %w%s", nftTable, err, nftHint(err))
	}
	return nil
}

func nftHint(err error) string {
	for _, missing := range []unix.Errno{unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ENOENT} {
		if errors.Is(err, missing) {
			return ": the kernel has no nftables: modprobe nf_tables, or set accept = true"
		}
	}
	return capabilityHint(err, "CAP_NET_ADMIN")
}

func nftInput(e *netlink.AttributeEncoder) {
	e.String(unix.NFTA_CHAIN_TABLE, nftTable)
	e.String(unix.NFTA_CHAIN_NAME, nftChain)
	e.String(unix.NFTA_CHAIN_TYPE, "filter")
	e.Nested(unix.NFTA_CHAIN_HOOK, func(e *netlink.AttributeEncoder) error {
		e.ByteOrder = binary.BigEndian
		e.Uint32(unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_LOCAL_IN)
		e.Uint32(unix.NFTA_HOOK_PRIORITY, nftPriority)
		return nil
	})
}

func (f nftFamily) set(e *netlink.AttributeEncoder) {
	e.String(unix.NFTA_SET_TABLE, nftTable)
	e.String(unix.NFTA_SET_NAME, nftSet)
	e.Uint32(unix.NFTA_SET_KEY_TYPE, f.keyType)
	e.Uint32(unix.NFTA_SET_KEY_LEN, f.length)
	e.Uint32(unix.NFTA_SET_ID, 1)
}

func nftMembers(e *netlink.AttributeEncoder, addresses []netip.Addr) {
	e.String(unix.NFTA_SET_ELEM_LIST_TABLE, nftTable)
	e.String(unix.NFTA_SET_ELEM_LIST_SET, nftSet)
	e.Nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(e *netlink.AttributeEncoder) error {
		for _, a := range addresses {
			e.Nested(unix.NFTA_LIST_ELEM, func(e *netlink.AttributeEncoder) error {
				nftValue(e, unix.NFTA_SET_ELEM_KEY, a.AsSlice())
				return nil
			})
		}
		return nil
	})
}

// nftRule encodes a rule of the chain.
func nftRule(e *netlink.AttributeEncoder, expressions func(*nftExpressions)) {
	e.String(unix.NFTA_RULE_TABLE, nftTable)
	e.String(unix.NFTA_RULE_CHAIN, nftChain)
	e.Nested(unix.NFTA_RULE_EXPRESSIONS, func(e *netlink.AttributeEncoder) error {
		expressions(&nftExpressions{e})
		return nil
	})
}

// dropMembers is the rule "ip daddr @addresses drop", or the same with ip6.
func (f nftFamily) dropMembers(x *nftExpressions) {
	x.load(unix.NFT_PAYLOAD_NETWORK_HEADER, f.daddr, f.length)
	x.add("lookup", func(e *netlink.AttributeEncoder) {
		e.String(unix.NFTA_LOOKUP_SET, nftSet)
		e.Uint32(unix.NFTA_LOOKUP_SREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_LOOKUP_SET_ID, 1)
	})
	x.verdict(nfDrop)
}

// dropOn is the rule "iifname ZONE ip6 daddr ADDRESS drop".
func (f nftFamily) dropOn(x *nftExpressions, a netip.Addr) {
	x.meta(unix.NFT_META_IIFNAME)
	x.compare(unix.NFT_CMP_EQ, append([]byte(a.Zone()), make([]byte, unix.IFNAMSIZ-len(a.Zone()))...)...)
	x.load(unix.NFT_PAYLOAD_NETWORK_HEADER, f.daddr, f.length)
	x.compare(unix.NFT_CMP_EQ, a.AsSlice()...)
	x.verdict(nfDrop)
}

// nftAcceptDiscovery is the rule "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept".
func nftAcceptDiscovery(x *nftExpressions) {
	x.meta(unix.NFT_META_L4PROTO)
	x.compare(unix.NFT_CMP_EQ, unix.IPPROTO_ICMPV6)
	x.load(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1)
	x.compare(unix.NFT_CMP_GTE, neighborAdvert-1)
	x.compare(unix.NFT_CMP_LTE, neighborAdvert)
	x.verdict(nfAccept)
}

const (
	nfDrop   = 0 // NF_DROP
	nfAccept = 1 // NF_ACCEPT
)

// nftExpressions encodes the expressions of a rule.
type nftExpressions struct{ *netlink.AttributeEncoder }

func (x *nftExpressions) add(name string, data func(*netlink.AttributeEncoder)) {
	x.Nested(unix.NFTA_LIST_ELEM, func(e *netlink.AttributeEncoder) error {
		e.String(unix.NFTA_EXPR_NAME, name)
		e.Nested(unix.NFTA_EXPR_DATA, func(e *netlink.AttributeEncoder) error {
			e.ByteOrder = binary.BigEndian
			data(e)
			return nil
		})
		return nil
	})
}

func (x *nftExpressions) load(base, offset, length uint32) {
	x.add("payload", func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_PAYLOAD_BASE, base)
		e.Uint32(unix.NFTA_PAYLOAD_OFFSET, offset)
		e.Uint32(unix.NFTA_PAYLOAD_LEN, length)
	})
}

func (x *nftExpressions) meta(key uint32) {
	x.add("meta", func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_META_KEY, key)
	})
}

func (x *nftExpressions) compare(op uint32, value ...byte) {
	x.add("cmp", func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_CMP_OP, op)
		nftValue(e, unix.NFTA_CMP_DATA, value)
	})
}

func (x *nftExpressions) verdict(code uint32) {
	x.add("immediate", func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT)
		e.Nested(unix.NFTA_IMMEDIATE_DATA, func(e *netlink.AttributeEncoder) error {
			e.Nested(unix.NFTA_DATA_VERDICT, func(e *netlink.AttributeEncoder) error {
				e.ByteOrder = binary.BigEndian
				e.Uint32(unix.NFTA_VERDICT_CODE, code)
				return nil
			})
			return nil
		})
	})
}

func nftValue(e *netlink.AttributeEncoder, attribute uint16, value []byte) {
	e.Nested(attribute, func(e *netlink.AttributeEncoder) error {
		e.Bytes(unix.NFTA_DATA_VALUE, value)
		return nil
	})
}

// nftBatch is a transaction of nftables.
type nftBatch struct {
	family   uint8
	messages []netlink.Message
	err      error
}

func (b *nftBatch) add(kind uint16, attributes func(*netlink.AttributeEncoder)) {
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	attributes(e)
	data, err := e.Encode()
	b.err = errors.Join(b.err, err)
	flags := netlink.Request | netlink.Acknowledge | netlink.Create
	if kind == unix.NFT_MSG_NEWRULE {
		flags |= netlink.Append // otherwise it becomes the first rule
	}
	b.put(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, b.family, 0, data)
}

// put adds a message with its struct nfgenmsg.
func (b *nftBatch) put(kind uint16, flags netlink.HeaderFlags, family uint8, resource uint16, data []byte) {
	header := binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
	b.messages = append(b.messages, netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: flags}, Data: append(header, data...),
	})
}

// send carries the transaction out and returns the first error of the kernel.
func (b *nftBatch) send(conn *netlink.Conn) error {
	if b.err != nil {
		return b.err
	}
	if err := conn.SetDeadline(time.Now().Add(nftTimeout)); err != nil {
		return err
	}
	body := b.messages
	b.messages = nil
	b.put(unix.NFNL_MSG_BATCH_BEGIN, netlink.Request, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	b.messages = append(b.messages, body...)
	b.put(unix.NFNL_MSG_BATCH_END, netlink.Request, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	if _, err := conn.SendMessages(b.messages); err != nil {
		return err
	}
	for acknowledged := 0; acknowledged < len(body); {
		replies, err := conn.Receive()
		if err != nil {
			return err
		}
		acknowledged += len(replies)
	}
	return nil
}
