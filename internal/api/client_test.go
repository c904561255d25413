package api

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestADirectorThatStandsStillIsToldFromNone(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", socket) // the kernel takes the connection; nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing is left by it
	client := NewClient(socket)
	client.http.Timeout = 50 * time.Millisecond
	_, err = client.Status(t.Context())
	if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), socket) || strings.Contains(err.Error(), "Client.Timeout") {
		t.Errorf("got error %v", err)
	}
}
