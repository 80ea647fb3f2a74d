//go:build linux

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
)

// The load generator is the program itself, started once more. The two exchange JSON:
// the job goes to its standard input; it returns pauses, each of which waits for an
// answer, and in the end the result.

// loadEnv marks a process as the load generator.
const loadEnv = "WEBSOCKET_BENCH_LOAD"

// message is a message of the load generator.
type message[R any] struct {
	Pause  string `json:",omitempty"`
	Error  string `json:",omitempty"`
	Result R      `json:",omitzero"`
}

// resume is the answer to a pause.
type resume struct{ Go bool }

// IsLoad reports whether this process is a load generator. Its main function then
// has to call LoadMain.
func IsLoad() bool { return os.Getenv(loadEnv) != "" }

// LoadMain is the main function of a load generator. All its threads run on the CPUs
// on which it was started, and run is called on a locked one. When run calls pause,
// the pause function of [RunLoad] is called with the same state.
func LoadMain[J, R any](run func(ctx context.Context, job J, pause func(state string) error) (R, error)) {
	runtime.LockOSThread()
	enc, dec := json.NewEncoder(os.Stdout), json.NewDecoder(os.Stdin)
	fail := func(err error) {
		enc.Encode(message[R]{Error: err.Error()})
		os.Exit(1)
	}
	var job J
	if err := dec.Decode(&job); err != nil {
		fail(fmt.Errorf("load generator: %w", err))
	}
	result, err := run(context.Background(), job, func(state string) error {
		if err := enc.Encode(message[R]{Pause: state}); err != nil {
			return err
		}
		var ok resume
		return dec.Decode(&ok)
	})
	if err != nil {
		fail(err)
	}
	enc.Encode(message[R]{Result: result})
}

// RunLoad does the job in a process of its own, on the given CPUs. Env is added
// to its environment. Pause may be nil if the job has no pauses.
func RunLoad[R, J any](ctx context.Context, l *Launcher, cpus []int, env []string, job J, pause func(state string) error) (R, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var result R
	self, err := os.Executable()
	if err != nil {
		return result, err
	}
	stderr := new(limitedBuffer)
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), loadEnv+"=1"), env...)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return result, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return result, err
	}
	if err := l.Start(cmd, cpus...); err != nil {
		return result, err
	}
	stopKill := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	result, err = exchange[R](in, out, job, pause)
	stopKill()
	in.Close()
	cmd.Process.Kill() // the result has arrived
	cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case errors.Is(err, io.EOF):
		return result, fmt.Errorf("the load generator has ended (%v): %s", cmd.ProcessState, stderr)
	}
	return result, err
}

// exchange exchanges the messages with the load generator.
func exchange[R, J any](to io.Writer, from io.Reader, job J, pause func(state string) error) (R, error) {
	enc, dec := json.NewEncoder(to), json.NewDecoder(from)
	var none R
	if err := enc.Encode(job); err != nil {
		return none, err
	}
	for {
		var m message[R]
		if err := dec.Decode(&m); err != nil {
			return none, err
		}
		switch {
		case m.Error != "":
			return m.Result, errors.New(m.Error)
		case m.Pause == "":
			return m.Result, nil
		}
		if err := pause(m.Pause); err != nil {
			return none, err
		}
		if err := enc.Encode(resume{true}); err != nil {
			return none, err
		}
	}
}
