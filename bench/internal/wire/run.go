//go:build linux

package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/load"
)

// Run does the job.
func Run(ctx context.Context, job Job) (Result, error) {
	if err := job.check(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &runner{Job: job, ctx: ctx, cancel: cancel}
	defer r.end()
	if err := r.openAll(); err != nil {
		return Result{}, err
	}
	r.start()
	result, err := r.measure()
	r.end()
	if err != nil {
		return Result{}, err
	}
	return result, r.addUp(&result)
}

// errOver is the cause of the end when all went well.
var errOver = errors.New("the job is done")

// runner is a job under way.
type runner struct {
	Job
	ctx     context.Context
	cancel  context.CancelCauseFunc
	traffic traffic
	clients []*client
	running sync.WaitGroup
	clock   atomic.Bool // updates are counted
}

// end stops the clients and returns when they have ended.
func (r *runner) end() {
	r.cancel(errOver)
	r.traffic.close()
	r.running.Wait()
}

// opening is how many clients are opened at a time.
const opening = 16

// openAll opens all clients.
func (r *runner) openAll() error {
	if r.Kind == Nothing {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(r.ctx, time.Minute, errors.New("wire: the clients are not connected after a minute"))
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer context.AfterFunc(ctx, r.traffic.close)() // reads do not know of ctx
	r.clients = make([]*client, r.Clients)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range opening {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < r.Clients && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				var err error
				if r.clients[i], err = r.open(ctx, i); err != nil {
					fail(err) // the first one counts
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// start starts the clients. The first that fails ends the job.
func (r *runner) start() {
	for _, c := range r.clients {
		r.running.Go(func() { r.cancel(c.run()) })
	}
}

// sleepUntil returns at the given time, or with an error when the job ends.
func (r *runner) sleepUntil(at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// snapshot is the sum of all counts at one moment.
type snapshot struct {
	at                     time.Time
	cpu                    time.Duration
	updates, missed, polls int64
	sent, received         int64
	packets, headers       int64
}

// snapshot adds up client by client, each with its connection: what one has under
// way may be counted on one side and not on the other.
func (r *runner) snapshot() (m snapshot, err error) {
	for _, c := range r.clients {
		m.updates += c.updates.Load()
		m.missed += c.missed.Load()
		m.polls += c.polls.Load()
		m.sent += c.conn.out.Load()
		m.received += c.conn.in.Load()
		packets, header, err := segments(c.conn.Conn)
		if err != nil {
			if over := context.Cause(r.ctx); over != nil {
				err = over // the end has closed the connection
			}
			return m, err
		}
		m.packets += packets
		m.headers += packets * header
	}
	m.at = time.Now()
	m.cpu, err = load.ProcessCPU(r.PID)
	return m, err
}

// measure runs the clock for the job's time.
func (r *runner) measure() (Result, error) {
	warmup := r.Warmup
	if r.Kind == Poll {
		warmup += r.Poll // the first polls come too early after those of openAll
	}
	if err := r.sleepUntil(time.Now().Add(warmup)); err != nil {
		return Result{}, err
	}
	from, err := r.snapshot()
	if err != nil {
		return Result{}, err
	}
	r.clock.Store(true)
	err = r.sleepUntil(from.at.Add(r.Time))
	r.clock.Store(false)
	if err != nil {
		return Result{}, err
	}
	to, err := r.snapshot()
	if err != nil {
		return Result{}, err
	}
	result := Result{
		Updates: float64(to.updates - from.updates), Missed: float64(to.missed - from.missed), Polls: float64(to.polls - from.polls),
		CPU: to.cpu - from.cpu, Wall: to.at.Sub(from.at),
		Sent: to.sent - from.sent, Received: to.received - from.received,
		Packets: to.packets - from.packets, PacketHeaders: to.headers - from.headers,
	}
	if r.Kind == Nothing {
		result.Updates = float64(r.Clients) * float64(result.Wall) / float64(r.Every)
	}
	return result, nil
}

// addUp adds the counts of the clients, which have ended.
func (r *runner) addUp(result *Result) error {
	if r.Kind == Nothing {
		return nil
	}
	var delays []time.Duration
	var sent, received []int64
	for _, c := range r.clients {
		delays = append(delays, c.delays...)
		sent, received = append(sent, c.setupSent), append(received, c.setupReceived)
	}
	if len(delays) == 0 || result.Updates == 0 {
		return fmt.Errorf("wire: no update in %v", result.Wall)
	}
	slices.Sort(delays)
	for _, d := range delays {
		result.DelayMean += d
	}
	result.DelayMean /= time.Duration(len(delays))
	result.DelayP50, result.DelayP99 = delays[len(delays)/2], delays[len(delays)*99/100]
	slices.Sort(sent)
	slices.Sort(received)
	result.SetupSent, result.SetupReceived = sent[len(sent)/2], received[len(received)/2]
	return nil
}
