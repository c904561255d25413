package speaker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func sharedMemory(t testing.TB) *os.File {
	t.Helper()
	f, err := NewTenures()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func keptIn(f *os.File) *keptWanted { return newKeptWanted(slog.New(slog.DiscardHandler), f) }

// numbered returns a wanted state that is identified by its number.
func numbered(n int) *vrrp.Wanted {
	in := v3(200)
	in.Version, in.AdvertiseInterval, in.AuthPass = 2, time.Second, secret.Text(fmt.Sprint(n))
	return &vrrp.Wanted{DirectorGrace: time.Duration(n), Instances: []vrrp.WantedInstance{{
		Instance: in,
		Tracks:   []vrrp.Track{{Name: "x", Kind: vrrp.TrackFailover, Effect: vrrp.EffectLastResort, Since: time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)}},
	}}}
}

// TestKeptWanted checks that the next speaker reads the last state that its own version wrote completely, or none.
func TestKeptWanted(t *testing.T) {
	damage := func(t *testing.T, f *os.File, sequence uint64, from int64, with string) {
		if _, err := f.WriteAt([]byte(with), slotOffset(sequence)+from); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		writes int
		then   func(t *testing.T, k *keptWanted)
		want   int // number; 0 if none
	}{
		{"nothing", 0, nil, 0},
		{"one", 1, nil, 1},
		{"the last", 5, nil, 5},
		{"content half-written", 4, func(t *testing.T, k *keptWanted) { damage(t, k.file, 5, slotHeader+9, "half of another") }, 4},
		{"header not written", 4, func(t *testing.T, k *keptWanted) { damage(t, k.file, 5, 0, strings.Repeat("\x00", slotHeader)) }, 4},
		{"header half-written", 4, func(t *testing.T, k *keptWanted) { damage(t, k.file, 5, 0, "\x05\x00\x00\x00") }, 4},
		{"impossible length", 4, func(t *testing.T, k *keptWanted) { damage(t, k.file, 4, 8, "\xff\xff\xff\xff\xff\xff\xff\xff") }, 3},
		{"the first half-written", 1, func(t *testing.T, k *keptWanted) { damage(t, k.file, 1, slotHeader+3, "x") }, 0},
		{"truncated", 2, func(t *testing.T, k *keptWanted) { _ = k.file.Truncate(slotOffset(1) + 2) }, 2},
		{"another version's", 2, func(t *testing.T, k *keptWanted) {
			if err := k.writeContent([]byte("2\n{}")); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"erased", 3, func(_ *testing.T, k *keptWanted) { _ = k.write(nil) }, 0},
		{"too large", 3, func(t *testing.T, k *keptWanted) {
			w := numbered(4)
			w.Instances[0].Name = strings.Repeat("x", slotBytes)
			if err := k.write(w); err == nil {
				t.Error("no error")
			}
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := sharedMemory(t)
			k := keptIn(f)
			for n := range c.writes {
				if err := k.write(numbered(n + 1)); err != nil {
					t.Fatal(err)
				}
			}
			if c.then != nil {
				c.then(t, k)
			}
			next := keptIn(f)
			got := next.read()
			if want := numbered(c.want); c.want == 0 && got != nil || c.want > 0 && !reflect.DeepEqual(got, want) {
				t.Fatalf("read %+v, want number %d", got, c.want)
			}
			// The next state replaces any previous content.
			if err := next.write(numbered(9)); err != nil {
				t.Fatal(err)
			}
			if got := keptIn(f).read(); !reflect.DeepEqual(got, numbered(9)) {
				t.Errorf("read %+v after another write", got)
			}
		})
	}
	if k := keptIn(nil); k.read() != nil || k.write(numbered(1)) != nil {
		t.Error("without memory")
	}
}

// TestKeptWantedOfAnotherVersion reads states of versions with other fields.
func TestKeptWantedOfAnotherVersion(t *testing.T) {
	text, err := json.Marshal(numbered(7))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, old, new string
		known          bool
	}{
		{"the same", "", "", true},
		{"with a new field", `"priority":`, `"new":true,"priority":`, false},
		{"with a new field at the top", `"director_grace":`, `"new":true,"director_grace":`, false},
		{"with a renamed field", `"priority":`, `"priority_of_old":`, false},
		{"with a field of another type", `"priority":200`, `"priority":"200"`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := keptIn(sharedMemory(t))
			content := strings.Replace(string(text), c.old, c.new, 1)
			if c.old != c.new && content == string(text) {
				t.Fatalf("%s is not in %s", c.old, text)
			}
			if err := k.writeContent([]byte(wantedFormat + content)); err != nil {
				t.Fatal(err)
			}
			if got := keptIn(k.file).read(); (got != nil) != c.known || c.known && !reflect.DeepEqual(got, numbered(7)) {
				t.Errorf("read %+v", got)
			}
			// A version that does not know the state can take over unless this one is master.
			tenures, err := mapTenures(k.file)
			if err != nil {
				t.Fatal(err)
			}
			record := tenures.begin(routerKey{"eth0", vrrp.IPv4, 1})
			if err := CanSucceed(k.file); err != nil {
				t.Errorf("without a tenure: %v", err)
			}
			tenures.extend(record, time.Hour)
			if err := CanSucceed(k.file); errors.Is(err, ErrUnknownState) == c.known {
				t.Errorf("as master: %v", err)
			}
			if left := tenures.left(); len(left) != 1 {
				t.Errorf("afterwards, the tenures are %v", left)
			}
		})
	}
}

// alwaysWritten has the fields of a wanted state that every version writes. They are written also if they are zero.
const alwaysWritten = "director_grace instances " + // Wanted
	"name interface virtual_router_id version family priority advertise_interval addresses preempt preempt_delay announce " +
	"prefix weight count repeat_after refresh keys active_key anti_replay time_window mode id secret destination kind "

// TestNewFieldsOfWanted: a state in which a new field is not used can be read by a version that does not know it.
func TestNewFieldsOfWanted(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var check func(reflect.Type)
	check = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			check(of.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[of] || !strings.HasSuffix(of.PkgPath(), "/vrrp") {
			return
		}
		seen[of] = true
		for f := range of.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && name == "", strings.Contains(options, "omit"):
			case !strings.Contains(" "+alwaysWritten, " "+name+" "):
				t.Errorf("%v.%s is always written: give it omitempty or omitzero, and the zero value the meaning of a version without it", of, f.Name)
			}
			check(f.Type)
		}
	}
	check(reflect.TypeFor[vrrp.Wanted]())
	if len(seen) < 10 {
		t.Errorf("only %d types were checked", len(seen))
	}
}

// TestKeptWantedInTheBackground checks that the latest state is written soon, and that the speaker's end waits for it.
func TestKeptWantedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keptIn(sharedMemory(t))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.run(ctx) }()
		for n := range 4 {
			k.keep(numbered(n))
		}
		synctest.Wait()
		if got := keptIn(k.file).read(); !reflect.DeepEqual(got, numbered(3)) {
			t.Errorf("kept %+v", got)
		}
		k.keep(nil)
		cancel()
		<-done
		if got := keptIn(k.file).read(); got != nil {
			t.Errorf("kept %+v after the end", got)
		}
	})
}

// TestSuccessorNeedsNoDirector checks that the next speaker continues as master with the killed one's wanted state, until a
// director connects or the grace time is over.
func TestSuccessorNeedsNoDirector(t *testing.T) {
	in := v3(200)
	for _, c := range []struct {
		name  string
		end   func(g *rig) // of the previous speaker
		first string       // first actions of the next one; empty if it has no state to continue with
	}{
		{"killed", nil, "advert 200, add, announce"},
		{"killed as backup", func(g *rig) { g.hear(in, 250, "10.9.0.2") }, "silence"},
		{"killed with its director gone", func(g *rig) { g.engine.directorGone(g.now) }, "advert 200, add, announce"},
		{"stopped", func(g *rig) { g.engine.stop(g.now) }, ""},
		{"killed after the grace time", func(g *rig) { g.engine.directorGone(g.now); g.advance(3 * time.Second) }, ""},
		{"killed after its director hung", func(g *rig) {
			g.engine.directorHeard(g.now, g.now)
			g.advance(directorSilence + time.Minute)
			g.engine.directorHeard(g.now, g.now)
			g.advance(time.Second)
		}, "advert 200, add, announce"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := sharedMemory(t)
			former := newRig(t)
			kept := keptIn(f)
			former.engine.keep = func(w *vrrp.Wanted) {
				if err := kept.write(w); err != nil {
					t.Error(err)
				}
			}
			former.up("eth0", 2, "10.9.0.1/24")
			former.want(in)
			former.advance(time.Second)
			if c.end != nil {
				c.end(former)
			}
			former.advance(former.engine.timers.next().Sub(former.now))

			g := newRig(t)
			g.now = former.now
			g.engine.tenures.records = former.engine.tenures.records
			g.engine.inherited = g.engine.tenures.take()
			g.up("eth0", 2, "10.9.0.1/24", in.Addresses[0].Prefix.String())
			w := keptIn(f).read()
			if (w == nil) != (c.first == "") {
				t.Fatalf("kept: %+v", w)
			}
			if w == nil {
				return
			}
			g.engine.resume(*w, g.now)
			g.settle()
			g.expectDid(c.first)
			if c.first == "silence" {
				if got := g.status("v").State; got != vrrp.Backup {
					t.Errorf("state %s", got)
				}
				return
			}
			g.expect("v", vrrp.Master, vrrp.ReasonAdopted)
			g.advance(w.DirectorGrace - time.Millisecond)
			g.expect("v", vrrp.Master, vrrp.ReasonAdopted)
			g.advance(time.Millisecond)
			g.expect("v", vrrp.Leaving, vrrp.ReasonDirectorLost)
		})
	}
}

// TestDirectorReplacesWhatWasKept checks that a director's first wanted state replaces the state that a speaker has resumed.
func TestDirectorReplacesWhatWasKept(t *testing.T) {
	in, removed := v3(200), v3(200)
	removed.Name, removed.VirtualRouterID = "removed", 52
	removed.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.101/24")}}
	invalid := v3(200)
	invalid.Name, invalid.VirtualRouterID = "invalid", 0
	g := newRig(t)
	var log bytes.Buffer
	g.logTo(textLog(&log, slog.LevelError))
	g.up("eth0", 2, "10.9.0.1/24")
	var w vrrp.Wanted
	for _, in := range []vrrp.Instance{in, removed, invalid} {
		w.Instances = append(w.Instances, vrrp.WantedInstance{Instance: in})
	}
	w.DirectorGrace = 2 * time.Second
	g.engine.resume(w, g.now)
	g.advance(time.Second)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	g.expect("removed", vrrp.Master, vrrp.ReasonMasterDownTimer)
	if len(g.engine.routers) != 2 || !strings.Contains(log.String(), "instance=invalid") {
		t.Errorf("%d instances; log:\n%s", len(g.engine.routers), log.String())
	}
	g.want(in)
	g.expect("removed", vrrp.Leaving, vrrp.ReasonRemoved)
	g.advance(time.Minute)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	if len(g.engine.routers) != 1 {
		t.Errorf("%d instances", len(g.engine.routers))
	}
}

// TestHostSuccessorNeedsNoDirector kills speaker and director together. The next speaker continues before the peer times
// out, and hands over if no director connects within the grace time.
func TestHostSuccessorNeedsNoDirector(t *testing.T) {
	attempts(t, func(n *lan) error {
		const interval = 100 * time.Millisecond
		a, b := pair(t, n, vrrp.IPv4, interval)
		a.wantWith(2*time.Second, instance(3, vrrp.IPv4, 200, interval))
		a.report("v", "any", func(vrrp.Status) bool { return true })
		before := len(b.transitions())
		a.pauseDirector() // first, because its next connection would wait for the next speaker, with the data already sent
		a.kill()
		mark := n.capture.mark()
		a.start("adopt")
		macA := macOf(t, n.a, "eth0")
		isAdvert := func(s seen) bool { return s.advert != nil && s.mac == macA }
		first := n.capture.await(t, mark, "a's first advert", isAdvert)
		n.capture.await(t, mark, "a's adverts for a second", func(s seen) bool { return isAdvert(s) && s.at.Sub(first.at) > time.Second })
		if got := b.transitions(); len(got) != before {
			return fmt.Errorf("the peer went through %v", got)
		}
		if st := b.awaitState("v", vrrp.Master); st.Reason != string(vrrp.ReasonPriorityZero) {
			return fmt.Errorf("the peer is master for %q", st.Reason)
		}
		a.resumeDirector()
		a.awaitState("v", vrrp.Master)
		return nil
	})
}

func BenchmarkKeptWanted(b *testing.B) {
	w := vrrp.Wanted{}
	for id := range 1000 {
		in := v3(200)
		in.Name, in.VirtualRouterID = fmt.Sprintf("v%d", id), uint8(1+id%255)
		w.Instances = append(w.Instances, vrrp.WantedInstance{Instance: in})
	}
	k := keptIn(sharedMemory(b))
	for b.Loop() {
		if err := k.write(&w); err != nil {
			b.Fatal(err)
		}
	}
}
