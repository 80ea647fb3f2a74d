//go:build interop

package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest/exampletest"
)

// The page reads and writes the same bytes as the server, and moves koi in the
// same way.
func TestSameOnThePage(t *testing.T) {
	b, ctx := startBrowser(t)
	arena := startProcess(t, exampletest.Build(t), "-addr", "127.0.0.1:0", "-bots", "0")
	w := open(t, ctx, b, arena.URL)
	t.Run("messages", func(t *testing.T) { (&window{t, w.Tab, ctx}).testMessages() })
	t.Run("motion", func(t *testing.T) { (&window{t, w.Tab, ctx}).testMotion() })
	t.Run("prediction", func(t *testing.T) { (&window{t, w.Tab, ctx}).testPrediction() })
	t.Run("timeline", func(t *testing.T) { (&window{t, w.Tab, ctx}).testTimeline() })
	w.checkProblems()
}

// parse has the page parse a message. It returns the result as JSON, or nil if
// the page refuses it.
func (w *window) parse(b []byte) (result any) {
	w.Helper()
	w.do(fmt.Sprintf(`const wire = await import("./wire.js");
		const bytes = Uint8Array.from(%q.match(/../g) ?? [], (b) => parseInt(b, 16));
		try {
			return JSON.parse(JSON.stringify(wire.parse(bytes.buffer), (key, v) => v instanceof Map ? [...v.values()] : v));
		} catch (error) {
			if (!(error instanceof Error)) throw error;
			return null;
		}`, hex.EncodeToString(b)), &result)
	return result
}

func (w *window) testMessages() {
	for _, c := range outgoing {
		b := unhex(w, c.hex)
		var want any
		switch m := c.msg.(type) {
		case hello:
			want = map[string]any{"type": "hello", "version": protocolVersion, "rate": m.rate}
		case welcome:
			want = map[string]any{"type": "welcome", "id": m.id}
		case pong:
			want = map[string]any{"type": "pong", "time": m.time, "skipped": m.skipped}
		case roster:
			people := []any{}
			for _, p := range m {
				people = append(people, map[string]any{"id": p.id, "koi": p.koi, "bot": p.bot, "name": p.name})
			}
			want = map[string]any{"type": "roster", "people": people}
		case *snapshot:
			koi, crumbs := []any{}, []any{}
			for _, k := range m.koi {
				koi = append(koi, map[string]any{"id": k.id, "x": k.x, "y": k.y, "vx": k.vx, "vy": k.vy, "heading": k.heading,
					"score": k.score, "dart": k.dart, "daze": k.daze, "shield": k.shield, "ack": k.ack})
			}
			for _, c := range m.crumbs {
				x, y := c.at()
				crumbs = append(crumbs, map[string]any{"key": int(c.x)<<8 | int(c.y), "x": x, "y": y, "value": c.value})
			}
			want = map[string]any{"type": "snapshot", "tick": m.tick, "koi": koi, "crumbs": crumbs}
		}
		if got := w.parse(b); toJSON(w, got) != toJSON(w, want) {
			w.Errorf("% x is %s, want %s", b, toJSON(w, got), toJSON(w, want))
		}
		for n := range b {
			if got := w.parse(b[:n]); got != nil {
				w.Errorf("% x, the beginning of % x, is %s", b[:n], b, toJSON(w, got))
			}
		}
		if got := w.parse(append(b, 0)); got != nil {
			w.Errorf("% x 00 is %s", b, toJSON(w, got))
		}
	}
	const koi = "8000 8000 0000 0000 00 0000 00 00 00"
	for _, s := range []string{
		"83 00000000", "01 01 13", "01 01 3d", "02 00", "02 fb",
		"03 02 02 00 01 41 01 00 01 41", "03 01 02 0c 01 41", "03 01 02 00 00", "03 01 02 00 01 ff", "03 02 01 00 01 41",
		"03 01 01 00 11" + strings.Repeat("41", 17),
		"04 00000000 02 00 02" + koi + "01" + koi, "04 00000000 01 00 00" + koi,
		"04 00000000 01 00 01 0000 8000 0000 0000 00 0000 00 00 00",
		"04 00000000 01 00 01 8000 8000 0000 8000 00 0000 00 00 00",
		"04 00000000 00 01 01 02 00",
	} {
		if got := w.parse(unhex(w, s)); got != nil {
			w.Errorf("%s is %s", s, toJSON(w, got))
		}
	}
	// Another version has a future that we do not know.
	if got := toJSON(w, w.parse(unhex(w, "01 02 05 06"))); !strings.Contains(got, `"version":2`) {
		w.Errorf("a hello of version 2 is %s", got)
	}

	for _, c := range incoming {
		var call string
		switch m := c.msg.(type) {
		case join:
			if m.bot {
				continue // a page is none
			}
			call = fmt.Sprintf(`join(%d, %q)`, m.koi, m.name)
		case steer:
			call = fmt.Sprintf(`steer(%d, { dir: %d, throttle: %d, dart: %v })`, m.seq, m.dir, m.throttle, m.dart)
		case ping:
			call = fmt.Sprintf(`ping(%d)`, m.time)
		}
		var got string
		w.do(`const wire = await import("./wire.js");
			return [...wire.`+call+`].map((b) => b.toString(16).padStart(2, "0")).join("")`, &got)
		if want := strings.ReplaceAll(c.hex, " ", ""); got != want {
			w.Errorf("%s is %s, want %s", call, got, want)
		}
	}
}

func toJSON(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var plain any // numbers of all types become the same
	if err := json.Unmarshal(b, &plain); err != nil {
		t.Fatal(err)
	}
	b, _ = json.Marshal(plain)
	return string(b)
}

// wireBody is a body as the page has it.
type wireBody struct {
	X, Y, VX, VY float64
	Heading      uint8
	Score        uint16
	Dart, Daze   uint8
}

func (w *window) testMotion() {
	for _, rate := range []int{20, 30, 47, 60} {
		m := newMotion(rate)
		rng := rand.New(rand.NewPCG(uint64(rate), 3))
		own := body{x: 1200, y: -300, vx: 100, heading: 30, score: 77, daze: 9}
		first := own
		var inputs [][3]int
		var want []body
		s := steering{}
		for range 1500 {
			if rng.IntN(12) == 0 {
				s = steering{uint8(rng.Uint32()), uint8(rng.Uint32()), rng.IntN(4) == 0}
			}
			inputs = append(inputs, [3]int{int(s.dir), int(s.throttle), int(bit(s.dart))})
			m.advance(&own, s)
			want = append(want, own)
		}
		var got []wireBody
		w.do(fmt.Sprintf(`const { Motion } = await import("./motion.js");
			const motion = new Motion(%d);
			let body = { x: %v, y: %v, vx: %v, vy: %v, heading: %d, score: %d, dart: %d, daze: %d };
			return %s.map(([dir, throttle, dart]) => body = motion.advance(body, { dir, throttle, dart: dart === 1 }));`,
			rate, first.x, first.y, first.vx, first.vy, first.heading, first.score, first.dart, first.daze, toJSON(w, inputs)), &got)
		if len(got) != len(want) {
			w.Fatalf("%d bodies, want %d", len(got), len(want))
		}
		for i, g := range got {
			// A sine may differ in its last digit from machine to machine, and a
			// rounding with it. That does not add up.
			b := body{g.X, g.Y, g.VX, g.VY, g.Heading, g.Score, g.Dart, g.Daze}
			v := want[i]
			far := max(math.Abs(b.x-v.x), math.Abs(b.y-v.y), math.Abs(b.vx-v.vx), math.Abs(b.vy-v.vy))
			b.x, b.y, b.vx, b.vy = v.x, v.y, v.vx, v.vy
			if far > 0.25 || b != v {
				w.Fatalf("rate %d, tick %d: the page has %+v, the server %+v", rate, i, g, v)
			}
		}
	}
}

// A server that answers late, in JavaScript: the page's predictions agree with the
// server's later answers, and errors of unpredictable events are corrected.
func (w *window) testPrediction() {
	var r struct {
		Off, Pushed, Healed float64
		Sent                int
	}
	w.do(`const { Motion } = await import("./motion.js");
		const { Prediction } = await import("./prediction.js");
		const motion = new Motion(30);
		const late = 7; // ticks there, and as many back
		const there = [], back = [];
		let truth = { id: 1, x: 0, y: 0, vx: 0, vy: 0, heading: 0, score: 5, dart: 0, daze: 0, ack: 0 };
		let sent = 0;
		const prediction = new Prediction(motion, 1, (seq, steering) => { there.push({ seq, steering }); sent++; });
		prediction.reconcile({ koi: new Map([[1, truth]]) });
		const tick = (i) => {
			prediction.advance(1 / 30 + 1e-9, () => ({ dir: (i * 5) & 255, throttle: 255, dart: i % 50 === 0 }));
			if (there.length > late) {
				const { seq, steering } = there.shift();
				truth = { ...motion.advance(truth, steering), ack: seq };
				back.push(truth);
			}
			if (back.length > late) prediction.reconcile({ koi: new Map([[1, back.shift()]]) });
		};
		for (let i = 0; i < 400; i++) tick(i); // the numbers begin anew once
		const off = prediction.correction;
		truth = { ...truth, x: truth.x + 100 };
		let pushed = 0;
		for (let i = 0; i < 15; i++) {
			const { x } = prediction.koi;
			tick(0);
			pushed = Math.max(pushed, Math.abs(prediction.koi.x - x));
		}
		for (let i = 0; i < 60; i++) tick(0);
		const shown = prediction.koi;
		// Without more input the server comes to where the page is already.
		for (const { steering } of there) truth = motion.advance(truth, steering);
		return { off, pushed, healed: Math.hypot(shown.x - truth.x, shown.y - truth.y), sent };`, &r)
	// The shown position may be one tick behind.
	if r.Off != 0 || r.Sent != 475 {
		w.Errorf("%d inputs were sent, and the prediction was off by %v", r.Sent, r.Off)
	}
	if r.Pushed > 60 {
		w.Errorf("a push of 100 is seen as a jump of %v", r.Pushed)
	}
	if r.Healed > 12 {
		w.Errorf("it never comes to where the server has it: %v", r.Healed)
	}
}

func (w *window) testTimeline() {
	var r struct {
		Before, Middle, Round, After, Long float64
		Gone, Came, Jumped                 bool
		Delay                              float64
	}
	w.do(`const { Timeline } = await import("./timeline.js");
		const koi = (id, x, heading = 0, vx = 0) => [id, { id, x, y: 0, vx, vy: 0, heading }];
		const line = new Timeline(20);
		// Every 50 ms; they are 30 ms under way.
		const add = (tick, ...list) => line.add({ tick, koi: new Map(list), crumbs: [] }, 1000 + tick * 50 + 30);
		add(10, koi(1, 0, 250), koi(2, 7), koi(4, 0));
		add(11, koi(1, 10, 6), koi(3, 9), koi(4, 1000));
		add(12, koi(1, 20, 6, 100), koi(3, 9));
		const at = (tick) => line.at(1000 + tick * 50 + 30 + line.delay).koi;
		const x = (tick) => at(tick).get(1).x;
		const before = x(9);
		const first = at(10.4);
		const middle = first.get(1).x;
		const result = {
			before, middle, round: (at(10.5).get(1).heading + 256) % 256,
			jumped: first.get(4).x === 1000, came: first.has(3), gone: !at(11.5).has(2),
			after: x(13), long: x(40), delay: line.delay,
		};
		return result;`, &r)
	if r.Before != 0 || math.Abs(r.Middle-4) > 0.01 || math.Abs(r.Round) > 0.01 && math.Abs(r.Round-256) > 0.01 {
		w.Errorf("between two snapshots: %+v", r)
	}
	if !r.Jumped || r.Came || !r.Gone {
		w.Errorf("koi that come, go or jump: %+v", r)
	}
	if math.Abs(r.After-25) > 0.01 || math.Abs(r.Long-30) > 0.01 {
		w.Errorf("beyond the last snapshot: %+v", r)
	}
	if r.Delay < 95 || r.Delay > 105 {
		w.Errorf("the delay is %v", r.Delay)
	}
}
