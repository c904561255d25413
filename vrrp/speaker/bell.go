package speaker

// bell wakes a goroutine that has something to do. However often it is rung, it is heard once.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
