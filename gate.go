package websocket

import "sync/atomic"

// gate admits one reader: a call of the user's, or the attendant. It counts
// the messages on its way, so that a message costs two atomic operations and
// no third. state is who is inside, and above that, shifted by gateBits, how
// many messages have been read.
type gate struct{ state atomic.Uint64 }

const (
	gateUser      = 1 << iota // a user's call is inside
	gateAttendant             // the attendant is
	gatePushed                // and is to make way for a user's call, or has just done so
	gateLooped                // a Loop reads; users do not come in any more

	gateBits   = 4
	gateInside = gateUser | gateAttendant | gatePushed
)

// enter lets a user's call in, or a loop, if nobody else is inside.
func (g *gate) enter() bool { return g.admit(gateUser) }

// looped reports whether a Loop reads.
func (g *gate) looped() bool { return g.state.Load()&gateLooped != 0 }

// setLooped makes it so; the caller is inside.
func (g *gate) setLooped() { g.state.Store(g.state.Load() | gateLooped) }

// attend lets the attendant in if nobody else is inside.
func (g *gate) attend() bool { return g.admit(gateAttendant) }

func (g *gate) admit(who uint64) bool {
	s := g.state.Load()
	return s&gateInside == 0 && g.state.CompareAndSwap(s, s|who)
}

// push asks the attendant, if it is inside, to make way. If so, the caller
// waits until it has left, and nobody else comes in before handOver.
func (g *gate) push() bool {
	s := g.state.Load()
	return s&gateInside == gateAttendant && g.state.CompareAndSwap(s, s|gatePushed)
}

func (g *gate) pushed() bool { return g.state.Load()&gatePushed != 0 }

// handOver lets the call in that has pushed, after the attendant has left.
func (g *gate) handOver() { g.state.Store(g.state.Load()&^gateInside | gateUser) }

// busy reports whether a user's call is inside or about to be.
func (g *gate) busy() bool { return g.state.Load()&(gateUser|gatePushed) != 0 }

// leave lets the next one in, after a user's call that has read n messages.
func (g *gate) leave(n uint8) { g.state.Store(g.state.Load()&^gateInside + uint64(n)<<gateBits) }

// endAttend lets the next one in, after the attendant.
func (g *gate) endAttend() {
	for {
		s := g.state.Load()
		if g.state.CompareAndSwap(s, s&^gateAttendant) {
			return
		}
	}
}

// count returns how many messages have been read.
func (g *gate) count() uint64 { return g.state.Load() >> gateBits }
