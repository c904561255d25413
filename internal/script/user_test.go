package script

import (
	"os"
	"slices"
	"testing"
)

func TestUsers(t *testing.T) {
	for _, tt := range []struct {
		user, group string
		uid, gid    uint32
	}{
		{"root", "", 0, 0},
		{"0", "", 0, 0},
		{"root", "1234", 0, 1234},
		{"4000000000", "0", 4000000000, 0},
		{"", "0", 65534, 0},
	} {
		var users identities
		for range 2 { // looked up, then cached
			id, err := users.find(tt.user, tt.group)
			if err != nil || id.uid != tt.uid || id.gid != tt.gid {
				t.Errorf("user %q, group %q: %+v, %v", tt.user, tt.group, id, err)
			}
			if slices.Contains(id.groups, id.gid) && tt.group == "" {
				t.Errorf("user %q: %+v", tt.user, id)
			}
		}
	}
	if _, err := new(identities).find("4294967295", "0"); err == nil {
		t.Error("a number that means unchanged is accepted")
	}
}

func TestOneself(t *testing.T) {
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	id := identity{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	for _, g := range groups {
		id.groups = append(id.groups, uint32(g))
	}
	if !id.mine() {
		t.Errorf("%+v is not this process", id)
	}
	for _, change := range []func(*identity){
		func(id *identity) { id.uid++ },
		func(id *identity) { id.gid++ },
		func(id *identity) { id.groups = append(slices.Clone(id.groups), 12345) },
	} {
		other := id
		if change(&other); other.mine() {
			t.Errorf("%+v is this process", other)
		}
	}
}
