package api

import (
	"context"
	"errors"
	"net/http"
)

// Doctor is a diagnosis of the director's host.
type Doctor struct {
	ExitStatus int             `json:"exit_status"` // of lvs-ha doctor: 0 no problems, 1 errors, 2 warnings
	Findings   []DoctorFinding `json:"findings"`
}

// DoctorFinding is the result of a check on one subject.
type DoctorFinding struct {
	Code     string      `json:"code"`
	Severity string      `json:"severity"` // ok, info, warning, error
	Subject  string      `json:"subject,omitempty"`
	What     string      `json:"what"`
	Why      string      `json:"why,omitempty"`
	Remedy   string      `json:"remedy,omitempty"`
	Fixes    []DoctorFix `json:"fixes,omitempty"`
}

// DoctorFix is a change that lvs-ha doctor --fix makes.
type DoctorFix struct {
	Module string `json:"module,omitempty"`
	Key    string `json:"key,omitempty"`
	Value  string `json:"value,omitempty"`
}

// diagnoses is a turn for diagnoses, of which one is made at a time: each runs all health checks.
type diagnoses chan struct{}

var diagnosing = make(diagnoses, 1)

var errDiagnosing = &Error{Status: http.StatusServiceUnavailable, Err: errors.New("another diagnosis is under way; try again later")}

func (turn diagnoses) make(ctx context.Context, d Director) (Doctor, error) {
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
		return d.Doctor(ctx)
	default:
		return Doctor{}, errDiagnosing
	}
}
