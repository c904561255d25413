package healthcheck

// Reason is a short code for why a check failed. It is the same for all servers, so that results can be counted by it;
// a result's Detail has the particulars. A kind may have reasons of its own.
type Reason string

// The reasons that several kinds have.
const (
	Refused     Reason = "connect-refused"
	Unreachable Reason = "unreachable" // no route, or a packet filter
	Closed      Reason = "closed"      // the server closed or reset the connection
	TimedOut    Reason = "timeout"
	Handshake   Reason = "tls"
	Protocol    Reason = "protocol" // the answer is malformed or too large
	NotChecked  Reason = "not-checked"
	Crashed     Reason = "crashed" // the probe itself failed, or does not end
	Failed      Reason = "failed"  // anything else
)
