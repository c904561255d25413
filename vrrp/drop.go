package vrrp

// DropReason is why a received packet is dropped. Its text is the name under which it is counted and shown.
type DropReason uint8

// The reasons, in the order in which they are looked for. NotDropped means that the packet counts.
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
	DropNotRunning
	DropReasons // how many there are, for arrays of counters
)

var dropNames = [DropReasons]string{
	NotDropped:           "",
	DropTruncated:        "truncated",         // shorter than its header or its address count says
	DropVersion:          "version",           // neither 2 nor 3, or version 2 over IPv6
	DropType:             "type",              // not an advert
	DropCountZero:        "count-zero",        // no address (RFC 9568, erratum 8299), though the instance has some
	DropLength:           "length",            // more bytes behind it than Ethernet's padding explains
	DropChecksum:         "checksum",          // wrong
	DropIntervalZero:     "interval-zero",     // an interval of nothing
	DropVRIDUnknown:      "vrid-unknown",      // no instance of this number on the interface
	DropFamily:           "family",            // the instance is of the other family
	DropInstanceVersion:  "version-mismatch",  // the instance speaks the other version
	DropOwnPacket:        "own-packet",        // from our own address
	DropDestination:      "destination",       // unicast to a multicast instance, or the reverse
	DropTTL:              "ttl",               // not 255, or not from unicast_min_ttl to unicast_max_ttl: it came through a router
	DropNotAPeer:         "not-a-peer",        // from an address that is not among unicast_peers
	DropChecksumMode:     "checksum-mode",     // right only in the other reading of the RFC: the peers' settings differ
	DropAuthType:         "auth-type",         // one side has a password or an HMAC, the other has not, or it is AH
	DropAuthFailed:       "auth-failed",       // another password, or the HMAC is wrong
	DropAuthMissing:      "auth-missing",      // no HMAC, and the mode is enforce
	DropAuthMalformed:    "auth-malformed",    // a trailer of an unknown type
	DropAuthStale:        "auth-stale",        // outside the time window: a clock is wrong, or an old advert was replayed
	DropAuthKeyUnknown:   "auth-key-unknown",  // signed with a key that is not configured here
	DropAuthReplayed:     "auth-replayed",     // its sequence number is not higher than that of an earlier one
	DropIntervalMismatch: "interval-mismatch", // version 2: the peers' intervals differ
	DropNotRunning:       "not-running",       // the instance is in Initialize
}

func (r DropReason) String() string {
	if r < DropReasons {
		return dropNames[r]
	}
	return "unknown"
}
