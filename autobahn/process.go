package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// runLogged runs a command until it ends, or until ctx ends and its process group is
// killed. The output of the command goes to the file log and, line by line, to line,
// which may be nil.
func runLogged(ctx context.Context, cmd *exec.Cmd, log string, line func(string)) error {
	file, err := os.Create(log)
	if err != nil {
		return err
	}
	defer file.Close()
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewReader(io.TeeReader(r, file))
		for {
			s, err := lines.ReadString('\n')
			if line != nil && s != "" {
				line(strings.TrimRight(s, "\r\n"))
			}
			if err != nil {
				return
			}
		}
	}()
	err = cmd.Run()
	w.Close()
	<-read
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// command prepares a command whose process group is killed when ctx ends, or, where
// the system can do that, when this program ends.
func command(ctx context.Context, argv []string, dir string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	isolate(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = 5 * time.Second // for pipes that an escaped grandchild holds
	return cmd
}

// output runs a command that answers quickly and returns what it prints.
func output(ctx context.Context, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	p, err := command(ctx, argv, "").CombinedOutput()
	text := strings.TrimSpace(string(p))
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil && text != "" {
		err = fmt.Errorf("%w: %s", err, lastLine(text))
	}
	return text, err
}

func lastLine(text string) string {
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// tail returns the last lines of a file, for an error message.
func tail(path string, lines int) string {
	p, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(p)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// stallLimit is how long a single case may take. The longest, of 128 KiB a
// thousand times through two compressors, takes well under a minute. Tests
// shorten it.
var stallLimit = 4 * time.Minute

// errStalled is the cause of the end of a shard that does not get on.
var errStalled = errors.New("a case takes too long")
