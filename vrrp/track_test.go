package vrrp

import "testing"

func TestWeigh(t *testing.T) {
	for _, c := range []struct {
		good    bool
		weight  int
		reverse bool
		effect  Effect
		offset  int
	}{
		{true, 0, false, EffectNone, 0},
		{false, 0, false, EffectFault, 0},
		{true, 0, true, EffectFault, 0},
		{false, 0, true, EffectNone, 0},
		{true, 5, false, EffectOffset, 5},
		{false, 5, false, EffectNone, 0},
		{true, -5, false, EffectNone, 0},
		{false, -5, false, EffectOffset, -5},
		{true, 5, true, EffectOffset, -5},
		{false, -5, true, EffectOffset, 5},
	} {
		if effect, offset := Weigh(c.good, c.weight, c.reverse); effect != c.effect || offset != c.offset {
			t.Errorf("%+v: %q %d", c, effect, offset)
		}
	}
}

func TestWeighNumber(t *testing.T) {
	for _, c := range []struct {
		number, weight int
		reverse        bool
		effect         Effect
		offset         int
	}{
		{0, 1, false, EffectNone, 0},
		{-20, 1, false, EffectOffset, -20},
		{-20, 2, true, EffectOffset, 40},
		{-253, 1, false, EffectOffset, -253},
		{-254, 1, false, EffectFault, 0},
		{254, 1, true, EffectFault, 0},
		{1 << 40, 253, false, EffectOffset, 253},
		{-1 << 62, 253, false, EffectFault, 0},
		{0, 0, false, EffectNone, 0},
		{7, 0, false, EffectFault, 0},
		{7, 0, true, EffectNone, 0},
		{0, 0, true, EffectFault, 0},
	} {
		if effect, offset := WeighNumber(c.number, c.weight, c.reverse); effect != c.effect || offset != c.offset {
			t.Errorf("%+v: %q %d", c, effect, offset)
		}
	}
}
