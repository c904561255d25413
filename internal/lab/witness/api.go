package main

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	apiPause   = 500 * time.Millisecond
	apiPatient = 20 * time.Second
)

// watchAPI requests the status twice a second, one request at a time.
func watchAPI(socket string, out *printer) {
	for {
		began := now()
		word := " no"
		if askStatus(socket) {
			word = " ok"
		}
		out.printAt(began, "api "+strconv.FormatInt(int64(now()-began), 10)+word)
		_ = sleep(apiPause)
	}
}

// askStatus reports whether the director returns its complete status. It uses HTTP/1.0 directly: the server closes the
// connection at the end of the response.
func askStatus(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, apiPatient)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(apiPatient))
	if _, err := io.WriteString(conn, "GET /v1/status HTTP/1.0\r\nHost: lvs-ha\r\n\r\n"); err != nil {
		return false
	}
	answer, err := io.ReadAll(conn)
	return err == nil && bytes.HasPrefix(answer, []byte("HTTP/1.0 200"))
}
