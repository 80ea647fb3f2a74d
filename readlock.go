package websocket

import "sync/atomic"

// readLock admits one reader: a call of the user's, or the control reader, which a
// call may interrupt and whose lock is then handed over to that call. It also
// counts the messages that were read, so that a message costs two atomic operations
// and no third. The low readLockBits of state say which of them holds the lock; the
// bits above count the messages.
type readLock struct{ state atomic.Uint64 }

const (
	readLockUser        = 1 << iota // a user's call holds it
	readLockControl                 // the control reader holds it
	readLockInterrupted             // the control reader is to release it for a user's call, or has just done so
	readLockLoop                    // a Loop reads; user's calls do not get it any more

	readLockBits = 4
	readLockHeld = readLockUser | readLockControl | readLockInterrupted
)

// tryLock acquires the lock for a user's call, or for a loop, if it is free.
func (l *readLock) tryLock() bool { return l.tryLockAs(readLockUser) }

// onLoop reports whether a Loop reads.
func (l *readLock) onLoop() bool { return l.state.Load()&readLockLoop != 0 }

// setOnLoop gives the reading to a Loop for good. The caller holds the lock.
func (l *readLock) setOnLoop() { l.state.Store(l.state.Load() | readLockLoop) }

// tryLockControl acquires the lock for the control reader if it is free.
func (l *readLock) tryLockControl() bool { return l.tryLockAs(readLockControl) }

func (l *readLock) tryLockAs(holder uint64) bool {
	s := l.state.Load()
	return s&readLockHeld == 0 && l.state.CompareAndSwap(s, s|holder)
}

// interrupt asks the control reader to release the lock, if the control reader
// holds it, and reports whether that is so. If it is, the caller waits until the
// control reader has returned and then calls handOver; no other call gets the lock
// in between.
func (l *readLock) interrupt() bool {
	s := l.state.Load()
	return s&readLockHeld == readLockControl && l.state.CompareAndSwap(s, s|readLockInterrupted)
}

func (l *readLock) interrupted() bool { return l.state.Load()&readLockInterrupted != 0 }

// handOver gives the lock to the call that has interrupted the control reader,
// after the control reader has returned.
func (l *readLock) handOver() { l.state.Store(l.state.Load()&^readLockHeld | readLockUser) }

// busy reports whether a user's call holds the lock or is about to.
func (l *readLock) busy() bool { return l.state.Load()&(readLockUser|readLockInterrupted) != 0 }

// unlock releases the lock after a user's call that has read n messages.
func (l *readLock) unlock(n uint8) {
	l.state.Store(l.state.Load()&^readLockHeld + uint64(n)<<readLockBits)
}

// unlockControl releases the lock after the control reader.
func (l *readLock) unlockControl() {
	for {
		s := l.state.Load()
		if l.state.CompareAndSwap(s, s&^readLockControl) {
			return
		}
	}
}

// count returns how many messages have been read.
func (l *readLock) count() uint64 { return l.state.Load() >> readLockBits }
