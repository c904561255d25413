package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

// PowerOff ends all of the machine's processes with SIGTERM and powers it off. If the context ends first, power is cut.
func (m *Machine) PowerOff(ctx context.Context) error {
	m.mu.Lock()
	power := m.power
	m.mu.Unlock()
	if power == nil {
		return nil
	}
	conn, err := m.dialAgent(ctx)
	if err == nil {
		defer conn.Close()
		err = guest.NewWriter(conn).Write(guest.FramePowerOff, nil)
	}
	if err == nil {
		select {
		case <-power.ended:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	err = errors.Join(err, m.Kill())
	if err != nil {
		return fmt.Errorf("power off machine %s: %w", m.config.Name, err)
	}
	return nil
}

// Exec runs a program on the machine to completion.
func (m *Machine) Exec(ctx context.Context, argv ...string) (Result, error) {
	return run(ctx, m.Spawn, Command{Argv: argv})
}

// Spawn starts a program on the machine.
func (m *Machine) Spawn(ctx context.Context, c Command) (*Process, error) {
	conn, err := m.dialAgent(ctx)
	if err != nil {
		return nil, fmt.Errorf("machine %s: reach its agent: %w", m.config.Name, err)
	}
	p, err := runRemote(conn, c)
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", m.config.Name, err)
	}
	return p, nil
}

// WriteFile writes a file on the machine.
func (m *Machine) WriteFile(ctx context.Context, path string, data []byte) error {
	var stderr bytes.Buffer
	p, err := m.Spawn(ctx, Command{
		Argv:  []string{"sh", "-c", `mkdir -p "$(dirname "$0")" && cat >"$0"`, path},
		Stdin: bytes.NewReader(data), Stderr: &stderr,
	})
	if err != nil {
		return err
	}
	code, err := p.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d: %s", code, bytes.TrimSpace(stderr.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("machine %s: write %s: %w", m.config.Name, path, err)
	}
	return nil
}

// dialAgent connects to the agent. The connection is closed when the context or the machine ends.
func (m *Machine) dialAgent(ctx context.Context) (net.Conn, error) {
	m.mu.Lock()
	power := m.power
	m.mu.Unlock()
	if power == nil {
		return nil, errors.New("it is off")
	}
	conn, err := m.lab.fabric.DialContext(ctx, "tcp", m.guest.Management.Listen.String())
	if err != nil {
		return nil, err
	}
	c := &endingConn{Conn: conn}
	c.stops = append(c.stops,
		context.AfterFunc(ctx, func() { _ = conn.Close() }),
		context.AfterFunc(power.ctx, func() { _ = conn.Close() }))
	return c, nil
}

// endingConn releases the contexts that would close it when it is closed.
type endingConn struct {
	net.Conn
	stops []func() bool
}

func (c *endingConn) Close() error {
	for _, stop := range c.stops {
		stop()
	}
	if err := c.Conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
