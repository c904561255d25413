package statefile_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/statefile"
)

type value struct {
	Name string `json:"name"`
}

var format = statefile.Format{Kind: "test", Version: 2, Limit: 100, Older: map[int]statefile.Migration{
	1: func(json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`{"name":"migrated"}`), nil },
}}

func TestRead(t *testing.T) {
	with0 := format
	with0.Older = map[int]statefile.Migration{0: statefile.Unchanged, 1: statefile.Unchanged}
	for name, c := range map[string]struct {
		format statefile.Format
		text   string
		want   string
		err    error
	}{
		"current":           {format, `{"kind":"test","version":2,"data":{"name":"a"}}`, "a", nil},
		"older":             {format, `{"kind":"test","version":1,"data":{"title":"a"}}`, "migrated", nil},
		"without a header":  {with0, `{"name":"a"}`, "a", nil},
		"no migration":      {format, `{"name":"a"}`, "", statefile.ErrDamaged},
		"newer":             {format, `{"kind":"test","version":3,"data":{"name":"a"}}`, "", statefile.ErrNewer},
		"another kind":      {format, `{"kind":"other","version":2,"data":{"name":"a"}}`, "", statefile.ErrDamaged},
		"another, newer":    {format, `{"kind":"other","version":9,"data":{"name":"a"}}`, "", statefile.ErrDamaged},
		"negative version":  {format, `{"kind":"test","version":-1,"data":{"name":"a"}}`, "", statefile.ErrDamaged},
		"no data":           {format, `{"kind":"test","version":2}`, "", statefile.ErrDamaged},
		"data of a type":    {format, `{"kind":"test","version":2,"data":[1]}`, "", statefile.ErrDamaged},
		"cut off":           {format, `{"kind":"test","version":2,"data":{"na`, "", statefile.ErrDamaged},
		"twice":             {format, `{"kind":"test","version":2,"data":{}}{}`, "", statefile.ErrDamaged},
		"empty":             {format, ``, "", statefile.ErrDamaged},
		"zeros":             {format, "\x00\x00\x00", "", statefile.ErrDamaged},
		"too large":         {format, `{"kind":"test","version":2,"data":{"name":"a"}}` + strings.Repeat(" ", 99), "", statefile.ErrDamaged},
		"no object":         {format, `[]`, "", statefile.ErrDamaged},
		"exactly the limit": {format, `{"kind":"test","version":2,"data":{"name":"a"}}` + strings.Repeat(" ", 100-47), "a", nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.json")
			write(t, path, c.text)
			var got value
			err := c.format.Read(path, &got)
			if !errors.Is(err, c.err) || c.err == nil && (err != nil || got.Name != c.want) {
				t.Errorf("%+v, %v", got, err)
			}
			if e, ok := errors.AsType[*statefile.Error](err); ok != (c.err != nil) || ok && e.Path != path {
				t.Errorf("the error %v does not name the file", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != c.text {
				t.Errorf("reading changed the file: %q, %v", after, err)
			}
		})
	}
}

func TestReadOrSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	var got value
	if err := format.ReadOrSetAside(path, &got); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing: %v", err)
	}
	for _, text := range []string{`{"kind":"test","version":3,"data":{"name":"a"}}`, `{`} {
		write(t, path, text)
		if err := format.ReadOrSetAside(path, &got); !errors.As(err, new(*statefile.Error)) {
			t.Fatalf("%s: %v", text, err)
		}
		if err := format.Write(path, value{"b"}); err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(path + statefile.AsideSuffix); err != nil || string(kept) != text {
			t.Errorf("kept %q, %v, want %q", kept, err, text)
		}
	}
	if err := format.ReadOrSetAside(path, &got); err != nil || got.Name != "b" {
		t.Errorf("a good file: %+v, %v", got, err)
	}
}

func TestWrite(t *testing.T) {
	for _, durable := range []bool{false, true} {
		f := format
		f.Durable = durable
		dir := t.TempDir()
		path, elsewhere := filepath.Join(dir, "state.json"), filepath.Join(dir, "elsewhere")
		write(t, elsewhere, "untouched")
		if err := os.Symlink(elsewhere, path); err != nil {
			t.Fatal(err)
		}
		if err := f.Read(path, new(value)); !errors.Is(err, unix.ELOOP) {
			t.Errorf("a symbolic link was read: %v", err)
		}
		for _, name := range []string{"a", "b"} {
			var got value
			if err := errors.Join(f.Write(path, value{name}), f.Read(path, &got)); err != nil || got.Name != name {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if other, err := os.ReadFile(elsewhere); err != nil || string(other) != "untouched" {
			t.Errorf("the link was followed: %q, %v", other, err)
		}
		if err := f.Write(path, value{strings.Repeat("x", 100)}); err == nil {
			t.Error("wrote more than can be read")
		}
		missing := filepath.Join(dir, "missing", "state.json")
		err = f.Write(missing, value{})
		if at, _ := errors.AsType[*fs.PathError](err); !errors.Is(err, fs.ErrNotExist) || at == nil || at.Path != missing {
			t.Errorf("in a missing directory: %v", err)
		}
		if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
			t.Fatal(err)
		}
		if f.Write(filepath.Join(dir, "directory"), value{}) == nil {
			t.Error("replaced a directory")
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
			t.Errorf("left %v, %v", left, err)
		}
	}
}

func TestReadDoesNotWaitForAFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := format.Read(path, new(value)); !errors.Is(err, statefile.ErrDamaged) {
		t.Errorf("read a FIFO: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"kind":"test","version":2,"data":{"name":"a"}}`, `{"version":1}`, `{"kind":"test","version":99,"data":0}`, `null`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "state.json")
		write(t, path, text)
		if err := format.Read(path, new(value)); err != nil && !errors.As(err, new(*statefile.Error)) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func TestShape(t *testing.T) {
	type inner struct{ A int }
	type base struct{ In []inner }
	shape := func(v any) string {
		s, _ := statefile.Shape(reflect.TypeOf(v))
		return s
	}
	same := shape(base{})
	if again := shape(base{In: []inner{{1}}}); again != same {
		t.Errorf("values change the shape: %s, %s", same, again)
	}
	seen := map[string]int{}
	for i, v := range []any{
		base{}, struct{ In []inner }{}, struct{ In map[string]inner }{}, struct{ In *inner }{},
		struct {
			In []inner `json:"in"`
		}{},
		struct{ In []struct{ A, B int } }{}, struct{ In []struct{ A uint } }{}, struct{ In []struct{ B int } }{},
	} {
		s := shape(v)
		if other, taken := seen[s]; taken {
			t.Errorf("types %d and %d have the same shape", other, i)
		}
		seen[s] = i
	}
	type list struct{ Next *list }
	shape(list{}) // must terminate
	type held struct {
		What any
		Skip error `json:"-"`
	}
	if _, interfaces := statefile.Shape(reflect.TypeFor[held]()); len(interfaces) != 1 || interfaces[0] != reflect.TypeFor[any]() {
		t.Errorf("interfaces %v", interfaces)
	}
	// A type that encodes itself may encode all of its fields.
	if _, interfaces := statefile.Shape(reflect.TypeFor[[]*selfEncoded]()); len(interfaces) != 1 {
		t.Errorf("interfaces %v in a type that encodes itself", interfaces)
	}
}

type selfEncoded struct {
	What any `json:"-"`
}

func (s selfEncoded) MarshalJSON() ([]byte, error) { return json.Marshal(s.What) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
