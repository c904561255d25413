package speaker

// wakeup wakes a goroutine that has work to do. Notifications before it wakes are combined into one.
type wakeup chan struct{}

func newWakeup() wakeup { return make(wakeup, 1) }

func (w wakeup) notify() {
	select {
	case w <- struct{}{}:
	default:
	}
}
