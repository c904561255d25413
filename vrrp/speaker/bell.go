package speaker

// bell wakes a goroutine that has work to do. Rings before the goroutine wakes are combined into one.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
