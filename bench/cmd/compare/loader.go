//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/fullduplex-go/websocket/bench/internal/load"
)

// The load generator is this same program. The two talk in JSON: the job goes
// to its standard input; what comes back are pauses, each of which waits for
// an answer, and in the end the result.

// message is what the load generator says.
type message struct {
	Pause  string      `json:",omitempty"`
	Error  string      `json:",omitempty"`
	Result load.Result `json:",omitzero"`
}

// resume is the answer to a pause.
type resume struct{ Go bool }

// converse is the side of the one who wants the job done.
func converse(to io.Writer, from io.Reader, job load.Job, pause load.Pause) (load.Result, error) {
	enc, dec := json.NewEncoder(to), json.NewDecoder(from)
	if err := enc.Encode(job); err != nil {
		return load.Result{}, err
	}
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			return load.Result{}, err
		}
		switch {
		case m.Error != "":
			return m.Result, errors.New(m.Error)
		case m.Pause == "":
			return m.Result, nil
		}
		if err := pause(m.Pause); err != nil {
			return load.Result{}, err
		}
		if err := enc.Encode(resume{true}); err != nil {
			return load.Result{}, err
		}
	}
}

// loadMain is the program as load generator. All its threads run on the CPU
// on which it was started.
func loadMain() {
	runtime.LockOSThread()
	enc, dec := json.NewEncoder(os.Stdout), json.NewDecoder(os.Stdin)
	fail := func(err error) {
		enc.Encode(message{Error: err.Error()})
		os.Exit(1)
	}
	var job load.Job
	if err := dec.Decode(&job); err != nil {
		fail(fmt.Errorf("load generator: %w", err))
	}
	result, err := load.Run(context.Background(), job, func(state string) error {
		if err := enc.Encode(message{Pause: state}); err != nil {
			return err
		}
		var ok resume
		return dec.Decode(&ok)
	})
	if err != nil {
		fail(err)
	}
	enc.Encode(message{Result: result})
}
