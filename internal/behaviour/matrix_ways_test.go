package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/fullduplex-go/websocket"
)

func always(w want) func(rig) want { return func(rig) want { return w } }

// tail sends the segment with more frames in it.
func tail(frames ...frame) func(x *cell) {
	return func(x *cell) { x.p.send(append(x.segment, frames...)...) }
}

// then sends the segment with more frames and leaves.
func then(leave func(p *peer), frames ...frame) func(x *cell) {
	return func(x *cell) {
		x.p.send(append(x.segment, frames...)...)
		leave(x.p)
	}
}

var peerWays = append(closeWays(),
	way{name: "peer closes, FIN", peer: then((*peer).closeWrite, gone), want: always(closed(gone))},
	way{name: "peer closes and leaves", peer: then((*peer).close, gone), want: always(closed(gone)), deaf: true},
	way{name: "peer closes and resets", peer: then((*peer).reset, gone), want: always(closed(gone)), deaf: true},
	way{name: "FIN", peer: then((*peer).closeWrite), want: always(want{code: 1006})},
	way{name: "peer leaves", peer: then((*peer).close), want: always(want{code: 1006}), deaf: true},
	way{name: "reset", peer: then((*peer).reset), want: always(want{code: 1006}), deaf: true},
	way{name: "reserved opcode", peer: tail(frame{first: fin | 3}), want: always(want{code: 1002, frame: anyReason(1002)})},
	way{name: "reserved opcode, FIN", peer: then((*peer).closeWrite, frame{first: fin | 3}),
		want: always(want{code: 1002, frame: anyReason(1002)})},
	way{name: "invalid reason", peer: tail(closing(1000, "\xff")), want: always(want{code: 1007, frame: anyReason(1007), rude: true})},
	way{name: "invalid text", peer: func(x *cell) {
		f := text("\xff")
		if x.under.fragment {
			f = closing(1000, "\xff")
		}
		x.p.send(append(x.segment, f)...)
	}, want: always(want{code: 1007, frame: anyReason(1007), rude: true}), answer: true},
	way{name: "too big", peer: func(x *cell) {
		f := binaryf(strings.Repeat("b", 65<<10))
		if x.under.fragment {
			f.first = fin | opContinuation
		}
		x.p.trySend(append(x.segment, f)...) // may be cut off by the verdict
	}, want: always(want{code: 1009, frame: anyReason(1009), rude: true}), answer: true},
	way{name: "keepalive", tune: func(o *websocket.Options) {
		o.PingInterval, o.PongTimeout = 500*time.Millisecond, 500*time.Millisecond
	}, peer: tail(), want: always(want{code: 1006, rude: true})},
)

func closeWays() (ways []way) {
	for _, f := range peerCloses {
		ways = append(ways, way{name: fmt.Sprintf("peer closes with %d, %d bytes", f.code(), len(f.reason())), peer: tail(f), want: always(closed(f))})
	}
	return ways
}

// cutBy is the end by CloseNow: no close frame.
func cutBy() want { return want{code: 1006, silent: true, rude: true} }

// said is the end by a close frame of ours.
func said(code int, reason string) want {
	f := closing(code, reason)
	w := want{code: websocket.StatusCode(code), frame: &f, rude: true}
	if code == 0 {
		w.code = websocket.StatusNoStatus
	}
	return w
}

// perEngine chooses the expected result by the engine.
func perEngine(handler, calls, loop want) func(rig) want {
	return func(r rig) want {
		switch {
		case r.loop():
			return loop
		case r.engine == onHandler:
			return handler
		}
		return calls
	}
}

var handlerWays = append(ourCloseWays(),
	way{name: "return", handler: func(*lib) bool { return false }, answer: true, want: perEngine(said(1000, ""), cutBy(), cutBy())},
	way{name: "CloseNow", handler: func(l *lib) bool { l.c().CloseNow(); return true }, want: always(cutBy())},
	way{name: "panic", handler: func(*lib) bool { panic(errPanic) }, answer: true, want: perEngine(said(1011, "*"), cutBy(), said(1011, "*"))},
	way{name: "abort", handler: func(*lib) bool { panic(http.ErrAbortHandler) }, answer: true,
		want: perEngine(cutBy(), cutBy(), want{rude: true})},
	way{name: "Goexit", handler: func(*lib) bool { runtime.Goexit(); return true }, answer: true,
		want: perEngine(said(1011, "*"), cutBy(), want{rude: true})},
)

func ourCloseWays() (ways []way) {
	for _, f := range []frame{closing(1000, "done"), closing(1001, ""), closing(3000, "x"), closing(4999, strings.Repeat("ü", 61))} {
		code, reason := websocket.StatusCode(f.code()), f.reason()
		w := always(said(f.code(), reason))
		ways = append(ways,
			way{name: fmt.Sprintf("Close %d in the handler", code), handler: func(l *lib) bool {
				if err := l.c().Close(code, reason); err != nil {
					l.site.t.Errorf("Close returned %v", err)
				}
				return true
			}, answer: true, want: w},
			way{name: fmt.Sprintf("Close %d", code), outside: func(x *cell) error {
				err := x.l.c().Close(code, reason)
				if e := x.site.rig.engine; e == onAccept || e == onDial {
					return nil // the handler's CloseNow may come before the peer's answer
				}
				return err
			}, answer: true, some: true, want: w})
	}
	return append(ways, way{name: "Close 1005", outside: func(x *cell) error {
		if x.l.c().Close(websocket.StatusNoStatus, "") == nil {
			return errors.New("no error")
		}
		return nil
	}, answer: true, some: true, want: always(said(0, ""))})
}

func hasServer(r rig) bool { return r.engine == onHandler || r.engine == onEvents }

// patient bounds a Shutdown.
func patient(shutdown func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return shutdown(ctx)
}

var outsideWays = []way{
	{name: "CloseNow beside the handler", outside: func(x *cell) error { return x.l.c().CloseNow() }, some: true, want: always(cutBy())},
	{name: "write fails", outside: func(x *cell) error {
		x.p.close()
		for deadline := time.Now().Add(patience); x.l.c().Send(websocket.Text, []byte("tick")) == nil; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(deadline) {
				return errors.New("writing to a peer that has left does not fail")
			}
		}
		return nil
	}, some: true, deaf: true, want: always(want{code: 1006})},
	{name: "write cut off", small: true, outside: func(x *cell) error {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			defer cancel()
			x.p.take(64 << 10)
		}()
		err := x.l.c().WriteUncompressed(ctx, websocket.Binary, make([]byte, 2<<20))
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("a write that the peer does not take: %w", err)
		}
		return nil
	}, tune: func(o *websocket.Options) { o.CloseTimeout = 500 * time.Millisecond },
		skip:  "stream", // behind which the write would wait
		where: func(r rig) bool { return !r.loop() }, some: true, deaf: true, want: always(want{code: 1006})},
	{name: "Server.Shutdown", outside: func(x *cell) error { return patient(x.site.ws.Shutdown) },
		where: hasServer, answer: true, some: true, want: always(said(1001, ""))},
	{name: "Server.Close", outside: func(x *cell) error { return x.site.ws.Close() },
		where: hasServer, some: true, want: always(cutBy())},
	{name: "Loop.Shutdown", outside: func(x *cell) error { return patient(x.site.loop.Shutdown) },
		where: rig.loop, answer: true, some: true, want: always(said(1001, ""))},
	{name: "Loop.Close", outside: func(x *cell) error { return x.site.loop.Close() },
		where: rig.loop, some: true, want: always(cutBy())},
}
