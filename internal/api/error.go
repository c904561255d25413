package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
)

// Error is a response with a status other than 2xx, in client and server.
type Error struct {
	Status   int       // HTTP status
	Findings []Finding // findings in a rejected configuration
	More     int       // number of omitted findings
	Err      error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Finding is one problem of a configuration.
type Finding struct {
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Count    int    `json:"count,omitempty"` // places with the same problem, if there are several; File and Line are the first
}

// String returns the finding in one line.
func (f Finding) String() string {
	return config.Finding{Summary: f.Summary, Detail: f.Detail, File: f.File, Line: f.Line, Count: f.Count}.String()
}

// Reloaded is the result of a reload.
type Reloaded struct {
	Warnings     []Finding `json:"warnings,omitempty"`     // about the configuration, and about its commands on this host
	ConfirmUntil time.Time `json:"confirm_until,omitzero"` // when the director goes back, unless the configuration is confirmed
}

// failure is the body of a response with a status other than 2xx.
type failure struct {
	Error    string    `json:"error"` // for display; may have several lines
	Findings []Finding `json:"findings,omitempty"`
	More     int       `json:"more_findings,omitempty"`
}

// statusOf returns the HTTP status for an error.
func statusOf(err error) int {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusGatewayTimeout
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return http.StatusInternalServerError
}

func failureOf(err error) failure {
	f := failure{Error: err.Error()}
	if e, ok := errors.AsType[*Error](err); ok {
		f.Findings, f.More = e.Findings, e.More
	}
	return f
}
