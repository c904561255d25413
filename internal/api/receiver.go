package api

// Receiver is a receiver of notifications with its counters, which start with the director.
type Receiver struct {
	Name      string `json:"name"`    // its block: "notify web", "notify_fifo /run/lvs-ha/notify.fifo"
	Waiting   int    `json:"waiting"` // notifications
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"`          // given up after all attempts
	Dropped   uint64 `json:"dropped"`         // dropped because too many were waiting
	Error     string `json:"error,omitempty"` // why the last one failed or the next one will fail
}
