package healthcheck

// Reason is a short code for why a check failed. Codes do not depend on the server, so that results can be counted by them;
// a result's Detail has the particulars. A kind may define reasons of its own.
type Reason string

// Reasons common to several kinds.
const (
	Refused     Reason = "connect-refused"
	Unreachable Reason = "unreachable" // no route, or a packet filter
	Closed      Reason = "closed"      // the server closed or reset the connection
	TimedOut    Reason = "timeout"
	Handshake   Reason = "tls"
	Protocol    Reason = "protocol" // the answer is malformed or too large
	Told        Reason = "told"     // an agent or a file says that the server is down
	NotChecked  Reason = "not-checked"
	Crashed     Reason = "crashed" // the probe panicked or did not return
	Failed      Reason = "failed"  // anything else
)
