package api

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestEveryFieldIsMapped fills each domain value, and fails if a field of the API is empty.
func TestEveryFieldIsMapped(t *testing.T) {
	for _, got := range []any{
		InstanceOf(filled[vrrp.Status](t), []history.Event{filled[history.Event](t)}), TransitionOf(filled[history.Event](t)), ServiceOf(filled[ipvs.Service](t)), ServerOf(filled[ipvs.Destination](t)),
		SyncOf(filled[connsync.Running](t)), SyncStepOf(filled[connsync.Step](t)),
		FindingsOf([]config.Finding{filled[config.Finding](t)})[0], ChangesOf([]ipvs.Change{filled[ipvs.Change](t)})[0],
	} {
		wantFull(t, reflect.TypeOf(got).String(), reflect.ValueOf(got))
	}
	add := filled[ipvs.Step](t)
	add.Action = ipvs.AddDestination
	step := StepOf(add)
	wantFull(t, "Step", reflect.ValueOf(step))
}

func wantFull(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	for field, member := range v.Fields() {
		switch {
		case member.IsZero():
			t.Errorf("%s.%s is not mapped", name, field.Name)
		case field.Anonymous:
			wantFull(t, name+"."+field.Name, member)
		}
	}
}

// filled returns a value without empty fields.
func filled[T any](t *testing.T) T {
	t.Helper()
	var v T
	fill(t, reflect.ValueOf(&v).Elem())
	return v
}

func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.1")))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
		return
	case ipvs.Family:
		v.Set(reflect.ValueOf(ipvs.IPv4))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Struct:
		for _, member := range v.Fields() {
			fill(t, member)
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x").Convert(v.Type().Key()), reflect.ValueOf(uint64(7)))
	default:
		t.Fatalf("a field of kind %s: say how it is filled", v.Kind())
	}
}
