package connsync

import "fmt"

// String returns ipvsadm's name: master or backup.
func (r Role) String() string {
	switch r {
	case Master:
		return "master"
	case Backup:
		return "backup"
	}
	return fmt.Sprintf("role %d", uint32(r))
}

// MarshalText writes master or backup.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText parses master or backup.
func (r *Role) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRole(string(b))
	return err
}

// ParseRole parses master or backup.
func ParseRole(s string) (Role, error) {
	switch s {
	case "master":
		return Master, nil
	case "backup":
		return Backup, nil
	}
	return 0, fmt.Errorf("unknown role %q of a connection-sync daemon: use master or backup", s)
}

// String returns the daemon's configuration without settings left to the kernel.
func (d Daemon) String() string {
	text := fmt.Sprintf("on %s, sync id %d", d.Interface, d.SyncID)
	if d.Group.IsValid() {
		text += ", group " + d.Group.String()
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"port", int(d.Port)}, {"ttl", int(d.TTL)}, {"maxlen", int(d.MaxLen)}} {
		if f.value != 0 {
			text += fmt.Sprintf(", %s %d", f.name, f.value)
		}
	}
	return text
}

// String returns the role and the configuration.
func (r Running) String() string { return fmt.Sprintf("%s %s", r.Role, r.Daemon) }
