//go:build interop

package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/browser"
)

// process is the arena as a program of its own.
type process struct {
	cmd *exec.Cmd
	url string
}

// build builds the arena and returns the path of the program.
func build(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "arena")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// startProcess starts the program and waits until it says where it listens.
func startProcess(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...)}
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the arena says %q: %v", line, err)
	}
	_, p.url, _ = strings.Cut(strings.TrimSpace(line), "The pond is at ")
	go io.Copy(io.Discard, lines)
	return p
}

// end sends the program a signal, waits until it has ended, and returns how.
func (p *process) end(sig os.Signal) error {
	if p.cmd.ProcessState != nil {
		return nil // it has
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// window is somebody's browser tab, for a test that fails when anything does.
type window struct {
	*testing.T
	*browser.Tab
	ctx context.Context
}

// desktop is what tests are played on.
var desktop = browser.Viewport{Width: 1280, Height: 800}

func open(t *testing.T, ctx context.Context, b *browser.Browser, url string) *window {
	t.Helper()
	tab, err := b.NewTab(ctx, "about:blank")
	if err != nil {
		t.Fatal(err)
	}
	w := &window{t, tab, ctx}
	w.ok(tab.SetViewport(ctx, desktop))
	w.ok(tab.Navigate(ctx, url))
	w.wait(`document.querySelector("#welcome").open && document.body.dataset.state === "online"`)
	return w
}

func (w *window) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *window) wait(condition string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	w.ok(w.WaitFor(ctx, condition))
}

// do runs statements of JavaScript, which may return something, in the page.
func (w *window) do(script string, result any) {
	w.Helper()
	w.ok(w.Eval(w.ctx, "(async () => {"+script+"})()", result))
}

// key presses or releases a key.
func (w *window) key(kind, code string) {
	w.Helper()
	w.do(fmt.Sprintf(`dispatchEvent(new KeyboardEvent(%q, { code: %q, bubbles: true }))`, kind, code), nil)
}

// checkProblems fails the test if anything has gone wrong in the page. Attempts
// to reach a server that is not there are no problem.
func (w *window) checkProblems() {
	w.Helper()
	for _, problem := range w.Problems() {
		if !strings.Contains(problem, "ERR_CONNECTION_REFUSED") {
			w.Error(problem)
		}
	}
}

func startBrowser(t *testing.T) (*browser.Browser, context.Context) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	if end, ok := t.Deadline(); ok {
		// A run that is out of time ends without cleaning up. Be earlier.
		ctx, cancel = context.WithDeadline(ctx, end.Add(-10*time.Second))
		t.Cleanup(cancel)
	}
	b, err := browser.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, ctx
}

// watch connects a spectator that sees what the server says.
func watch(t *testing.T, ctx context.Context, url string) *page {
	t.Helper()
	conn, _, err := websocket.Dial(ctx, url+"ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return &page{t, ctx, conn}
}

// The game as people play it: a real program, a real browser, and a server that
// goes away and comes back.
func TestInBrowser(t *testing.T) {
	b, ctx := startBrowser(t)
	path := build(t)
	const bots = 60
	arena := startProcess(t, path, "-addr", "127.0.0.1:0", "-bots", fmt.Sprint(bots))
	ada := open(t, ctx, b, arena.url)

	// Through the dialog into the water, where others are.
	ada.ok(ada.Type(ctx, "Ada")) // what was suggested is selected
	ada.ok(ada.Press(ctx, "Enter"))
	ada.wait(`document.body.dataset.state === "playing"`)
	ada.wait(fmt.Sprintf(`document.querySelector("#net-players").textContent === "%d"`, bots+1))
	ada.wait(fmt.Sprintf(`document.querySelector("#place").textContent.endsWith(" of %d")`, bots+1))
	ada.wait(`[...document.querySelectorAll("#best bdi")].every((e) => e.textContent.length > 1)`)
	ada.wait(`document.querySelector("#news").textContent.includes("as Ada") || document.querySelector("#news").textContent.includes("you.")`)

	// A key moves the koi that is called Ada, as the server sees it.
	server := watch(t, ctx, arena.url)
	id := uint8(0)
	for id == 0 {
		for _, p := range expect[roster](server) {
			if p.name == "Ada" && !p.bot {
				id = p.id
			}
		}
	}
	from := *expect[*snapshot](server).find(id)
	key, way := "ArrowRight", 1.0
	if from.x > 0 { // away from the bank
		key, way = "KeyA", -1
	}
	ada.key("keydown", key)
	for {
		if k := expect[*snapshot](server).find(id); (k.x-from.x)*way > 150 && k.vx*way > 100 {
			break
		}
	}
	ada.key("keyup", key)
	for {
		if k := expect[*snapshot](server).find(id); math.Hypot(k.vx, k.vy) < 60 {
			break
		}
	}
	// A click darts, and so does the button.
	for _, target := range []string{"#pond", "#dart"} {
		for expect[*snapshot](server).find(id).dart > 0 {
		}
		ada.ok(ada.Click(ctx, target))
		for expect[*snapshot](server).find(id).dart == 0 {
		}
	}
	// The page draws: what is in the middle changes.
	ada.do(`const pixels = () => document.querySelector("#pond").getContext("2d").getImageData(0, 0, 1280, 800).data.join();
		const before = pixels();
		while (pixels() === before) await new Promise(requestAnimationFrame);`, nil)

	// The network gets worse, and the round trip shows it.
	ada.wait(`/^\d+ ms$/.test(document.querySelector("#net-ping").textContent)`)
	ada.do(`const lag = document.querySelector("#lag"); lag.value = "125"; lag.dispatchEvent(new Event("change"))`, nil)
	ada.wait(`parseInt(document.querySelector("#net-ping").textContent) >= 250`)
	ada.do(`const lag = document.querySelector("#lag"); lag.value = "0"; lag.dispatchEvent(new Event("change"))`, nil)
	ada.wait(`parseInt(document.querySelector("#net-ping").textContent) < 250`)
	for _, name := range []string{"predict", "interpolate"} {
		value := map[string]string{"predict": "net-off", "interpolate": "net-delay"}[name]
		for range 2 {
			ada.ok(ada.Click(ctx, "#"+name))
			ada.wait(fmt.Sprintf(`(document.querySelector("#%s").textContent === "off") !== document.querySelector("#%s").checked`, value, name))
		}
	}

	// Pictures, of a pond in which some crumbs have been eaten.
	ada.wait(`Number(document.querySelector("#best b").textContent) >= 15`)
	for name, v := range map[string]browser.Viewport{
		"phone":        {Width: 390, Height: 844, Scale: 2, Phone: true},
		"phone-dark":   {Width: 390, Height: 844, Scale: 2, Phone: true, Dark: true},
		"small":        {Width: 667, Height: 375, Scale: 2, Phone: true},
		"desktop":      desktop,
		"desktop-dark": {Width: 1280, Height: 800, Dark: true},
	} {
		ada.screenshot(name, v)
	}
	ada.ok(ada.SetViewport(ctx, desktop))
	ada.do(`document.querySelector("#net").open = true`, nil)

	// The server goes, politely and not, and comes back at the same address.
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := arena.end(sig); sig == syscall.SIGTERM && err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
		ada.wait(`document.body.dataset.state === "offline" && document.querySelector("#banner-text").textContent.includes("Next attempt in")`)
		addr := strings.TrimSuffix(strings.TrimPrefix(arena.url, "http://"), "/")
		arena = startProcess(t, path, "-addr", addr, "-bots", fmt.Sprint(bots))
		ada.wait(`document.body.dataset.state === "playing" && document.querySelector("#banner").hidden`)
		ada.wait(fmt.Sprintf(`document.querySelector("#net-players").textContent === "%d"`, bots+1))
	}

	ada.checkProblems()
}

// screenshot checks that the page fits the viewport, and writes what it shows
// to $SCREENSHOT_DIR if there is one.
func (w *window) screenshot(name string, v browser.Viewport) {
	w.Helper()
	w.ok(w.SetViewport(w.ctx, v))
	w.do(fmt.Sprintf(`document.querySelector("#net").open = %v`, !v.Phone), nil)
	w.wait(fmt.Sprintf("innerWidth === %d && innerHeight === %d", v.Width, v.Height))
	// The canvas has the pixels of the screen, and nothing sticks out.
	w.wait(fmt.Sprintf(`document.querySelector("#pond").width === %d`, v.Width*max(1, int(v.Scale))))
	w.wait(`document.documentElement.scrollWidth === innerWidth && document.documentElement.scrollHeight === innerHeight`)
	for _, selector := range []string{"#dart", "#map", "#score", ".best", ".net summary"} {
		w.wait(fmt.Sprintf(`((box) => box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight && box.width > 0)
			(document.querySelector(%q).getBoundingClientRect())`, selector))
	}
	w.do(`for (let i = 0; i < 30; i++) await new Promise(requestAnimationFrame);`, nil)
	png, err := w.Screenshot(w.ctx)
	w.ok(err)
	if dir := os.Getenv("SCREENSHOT_DIR"); dir != "" {
		w.ok(os.WriteFile(filepath.Join(dir, "arena-"+name+".png"), png, 0o644))
	}
}

// Who finds the pond full is told so, and gets in when there is room.
func TestFullInBrowser(t *testing.T) {
	b, ctx := startBrowser(t)
	path := build(t)
	arena := startProcess(t, path, "-addr", "127.0.0.1:0", "-bots", "0", "-max", "1")
	first := open(t, ctx, b, arena.url)
	first.ok(first.Press(ctx, "Enter"))
	first.wait(`document.body.dataset.state === "playing"`)
	second := open(t, ctx, b, arena.url)
	second.ok(second.Press(ctx, "Enter"))
	second.wait(`document.querySelector("#banner-text").textContent.startsWith("The pond is full. Next attempt in")`)
	first.checkProblems()
	first.ok(first.Close(ctx))
	second.wait(`document.body.dataset.state === "playing"`)
	second.checkProblems()
}

// Who does not want to play can watch, and play later.
func TestWatchInBrowser(t *testing.T) {
	b, ctx := startBrowser(t)
	arena := startProcess(t, build(t), "-addr", "127.0.0.1:0", "-bots", "5")
	w := open(t, ctx, b, arena.url)
	w.ok(w.Press(ctx, "Escape"))
	w.wait(`!document.querySelector("#welcome").open && !document.querySelector("#play").hidden`)
	w.wait(`document.querySelector("#net-players").textContent === "5" && document.querySelector("#mine").hidden`)
	w.ok(w.Click(ctx, "#play"))
	w.wait(`document.querySelector("#welcome").open`)
	// A name that is only space is none, and other space is left out.
	w.do(`document.querySelector("#name").value = " \u200b "`, nil)
	w.ok(w.Click(ctx, "#go"))
	w.wait(`document.querySelector("#welcome").open && document.querySelector("#name").value === ""`)
	w.do(`document.querySelector("#name").value = "  Bo   Diddley\u200b "`, nil)
	w.ok(w.Click(ctx, "#varieties label:nth-child(5)"))
	w.ok(w.Click(ctx, "#go"))
	w.wait(`document.body.dataset.state === "playing"`)
	server := watch(t, ctx, arena.url)
	r := expect[roster](server)
	for len(r) < 6 {
		r = expect[roster](server)
	}
	for _, p := range r {
		if !p.bot && (p.name != "Bo Diddley" || p.koi != 4) {
			t.Errorf("the server knows %+v", p)
		}
	}
	w.checkProblems()
}

// The page reads and writes the same bytes as the server, and moves koi in the
// same way.
func TestSameOnThePage(t *testing.T) {
	b, ctx := startBrowser(t)
	arena := startProcess(t, build(t), "-addr", "127.0.0.1:0", "-bots", "0")
	w := open(t, ctx, b, arena.url)
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

// A server that answers late, in JavaScript: what the page predicts is what the
// server says in the end, and what nobody could foresee is made good.
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
	// What is shown may lie a tick's way behind.
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
