package lab

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// UDPEcho is a real server that answers each datagram with its name, a space and the datagram.
type UDPEcho struct {
	host          *Node
	name, address string

	mu   sync.Mutex
	conn net.PacketConn
}

// UDPEcho creates and starts a UDP server in the host. With direct routing it must listen on the virtual address itself.
func (h *Node) UDPEcho(name, address string) (*UDPEcho, error) {
	e := &UDPEcho{host: h, name: name, address: address}
	if err := e.Start(); err != nil {
		return nil, err
	}
	return e, h.lab.onClose(e.Stop)
}

// Start opens the socket, if it is not open.
func (e *UDPEcho) Start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn != nil {
		return nil
	}
	conn, err := e.host.ListenPacket("udp", e.address)
	if err != nil {
		return fmt.Errorf("start UDP server %s: %w", e.name, err)
	}
	e.conn = conn
	go e.serve(conn)
	return nil
}

func (e *UDPEcho) serve(conn net.PacketConn) {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			// A client that cannot be reached reports the missing answer itself.
			_, _ = conn.WriteTo(append([]byte(e.name+" "), buf[:n]...), from)
		}
	}
}

// Stop closes the socket.
func (e *UDPEcho) Stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn == nil {
		return nil
	}
	err := e.conn.Close()
	e.conn = nil
	if err != nil {
		return fmt.Errorf("stop UDP server %s: %w", e.name, err)
	}
	return nil
}
