// This file lets the compiler accept functions without a body: those of the Go runtime in poller.go.
