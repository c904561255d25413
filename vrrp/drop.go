package vrrp

// DropReason is the reason why a received packet was dropped. Its text is the name of its counter.
type DropReason uint8

// The reasons, in the order in which they are checked. NotDropped means that the packet is valid.
const (
	NotDropped DropReason = iota
	DropTruncated
	DropVersion
	DropType
	DropCountZero
	DropLength
	DropChecksum
	DropIntervalZero
	DropVRIDUnknown
	DropFamily
	DropInstanceVersion
	DropOwnPacket
	DropDestination
	DropTTL
	DropNotAPeer
	DropChecksumMode
	DropAuthType
	DropAuthFailed
	DropAuthMissing
	DropAuthMalformed
	DropAuthStale
	DropAuthKeyUnknown
	DropAuthReplayed
	DropIntervalMismatch
	DropReasons // number of reasons, for arrays of counters
)

var dropNames = [DropReasons]string{
	NotDropped:           "",
	DropTruncated:        "truncated",         // shorter than its header or its address count requires
	DropVersion:          "version",           // neither 2 nor 3, or version 2 over IPv6
	DropType:             "type",              // not an advert
	DropCountZero:        "count-zero",        // no address (RFC 9568, erratum 8299), although the instance has some
	DropLength:           "length",            // more trailing bytes than Ethernet padding accounts for
	DropChecksum:         "checksum",          // incorrect checksum
	DropIntervalZero:     "interval-zero",     // the interval is 0
	DropVRIDUnknown:      "vrid-unknown",      // no instance with this virtual router ID on the interface
	DropFamily:           "family",            // the instance has the other address family
	DropInstanceVersion:  "version-mismatch",  // the instance uses the other version
	DropOwnPacket:        "own-packet",        // sent from this node's own address
	DropDestination:      "destination",       // unicast to a multicast instance, or the reverse
	DropTTL:              "ttl",               // not 255, or not from unicast_min_ttl to unicast_max_ttl: it came through a router
	DropNotAPeer:         "not-a-peer",        // from an address that is not among unicast_peers
	DropChecksumMode:     "checksum-mode",     // valid only in the other interpretation of the RFC: the peers' settings differ
	DropAuthType:         "auth-type",         // only one side uses a password or an HMAC, or the type is AH
	DropAuthFailed:       "auth-failed",       // the password or the HMAC is wrong
	DropAuthMissing:      "auth-missing",      // no HMAC although the mode is enforce
	DropAuthMalformed:    "auth-malformed",    // a trailer of an unknown type
	DropAuthStale:        "auth-stale",        // outside the time window: a clock is wrong, or an old advert was replayed
	DropAuthKeyUnknown:   "auth-key-unknown",  // signed with a key that is not configured here
	DropAuthReplayed:     "auth-replayed",     // its sequence number is not higher than that of an earlier advert
	DropIntervalMismatch: "interval-mismatch", // version 2: the peers' intervals differ
}

func (r DropReason) String() string {
	if r < DropReasons {
		return dropNames[r]
	}
	return "unknown"
}
