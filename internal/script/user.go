package script

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"time"
)

// identity is the user and groups of a command.
type identity struct {
	name     string
	uid, gid uint32
	groups   []uint32 // supplementary
}

// overflowID is the ID of nobody if /etc/passwd does not list it (proc_sys_kernel(5), overflowuid).
const overflowID = 65534

// identities caches users until /etc/passwd or /etc/group changes.
type identities struct {
	mu    sync.Mutex
	files [2]fileVersion
	known map[[2]string]identity
}

type fileVersion struct {
	modified time.Time
	size     int64
}

func (i *identities) find(userName, groupName string) (identity, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var files [2]fileVersion
	for n, path := range []string{"/etc/passwd", "/etc/group"} {
		if info, err := os.Stat(path); err == nil {
			files[n] = fileVersion{info.ModTime(), info.Size()}
		}
	}
	if files != i.files {
		i.files, i.known = files, map[[2]string]identity{}
	}
	key := [2]string{userName, groupName}
	if id, ok := i.known[key]; ok {
		return id, nil
	}
	id, err := findIdentity(userName, groupName)
	if err == nil {
		i.known[key] = id
	}
	return id, err
}

func findIdentity(userName, groupName string) (identity, error) {
	if userName == "" {
		userName = DefaultUser
	}
	id := identity{name: userName}
	account, err := findUser(userName)
	if err != nil {
		return id, err
	}
	if account != nil {
		if id.uid, id.gid, id.groups, err = numbers(account); err != nil {
			return id, fmt.Errorf("user %q: %w", userName, err)
		}
	} else if number, ok := parseID(userName); ok {
		if groupName == "" {
			return id, fmt.Errorf("user %s is not in /etc/passwd: name its group too", userName)
		}
		id.uid = number
	} else if userName == DefaultUser {
		id.uid, id.gid = overflowID, overflowID
	} else {
		return id, fmt.Errorf("user %q is not in /etc/passwd", userName)
	}
	if groupName != "" {
		if id.gid, err = findGroup(groupName); err != nil {
			return id, err
		}
	}
	return id, nil
}

// findUser returns nil if there is no such user.
func findUser(name string) (*user.User, error) {
	account, err := user.Lookup(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		if _, ok := parseID(name); !ok {
			return nil, nil
		}
		account, err = user.LookupId(name)
		if _, unknown := errors.AsType[user.UnknownUserIdError](err); unknown {
			return nil, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("finding user %q: %w", name, err)
	}
	return account, nil
}

func findGroup(name string) (uint32, error) {
	group, err := user.LookupGroup(name)
	if _, unknown := errors.AsType[user.UnknownGroupError](err); unknown {
		if number, ok := parseID(name); ok {
			return number, nil
		}
		return 0, fmt.Errorf("group %q is not in /etc/group", name)
	}
	if err != nil {
		return 0, fmt.Errorf("finding group %q: %w", name, err)
	}
	number, ok := parseID(group.Gid)
	if !ok {
		return 0, fmt.Errorf("group %q has the number %q", name, group.Gid)
	}
	return number, nil
}

// numbers returns the user's ID, its primary group and its supplementary groups.
func numbers(account *user.User) (uid, gid uint32, groups []uint32, err error) {
	uid, ok := parseID(account.Uid)
	if !ok {
		return 0, 0, nil, fmt.Errorf("its number is %q", account.Uid)
	}
	if gid, ok = parseID(account.Gid); !ok {
		return 0, 0, nil, fmt.Errorf("the number of its group is %q", account.Gid)
	}
	listed, err := account.GroupIds()
	if err != nil {
		return 0, 0, nil, fmt.Errorf("finding its groups: %w", err)
	}
	for _, text := range listed {
		if number, ok := parseID(text); ok && number != gid {
			groups = append(groups, number)
		}
	}
	slices.Sort(groups)
	return uid, gid, groups, nil
}

func parseID(text string) (uint32, bool) {
	number, err := strconv.ParseUint(text, 10, 32)
	return uint32(number), err == nil && number != 1<<32-1 // the kernel interprets that value as "unchanged"
}

// mine reports whether this process already runs as the identity.
func (id identity) mine() bool {
	groups, err := os.Getgroups()
	if err != nil || os.Geteuid() != int(id.uid) || os.Getegid() != int(id.gid) {
		return false
	}
	return !slices.ContainsFunc(groups, func(g int) bool {
		return uint32(g) != id.gid && !slices.Contains(id.groups, uint32(g))
	}) && !slices.ContainsFunc(id.groups, func(g uint32) bool { return !slices.Contains(groups, int(g)) })
}
