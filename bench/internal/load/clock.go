//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessCPU returns the CPU time that all threads of a process have used so
// far, those that have ended included. It is the kernel's own nanosecond
// account, which clock_gettime reads by a clock id made of the process id.
func ProcessCPU(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED of the kernel's posix-timers.h
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// WaitIdle returns when a process has used next to no CPU for some time,
// the only sign that a server has handled everything it was sent.
func WaitIdle(ctx context.Context, pid int) error {
	const span, least, limit = 20 * time.Millisecond, 200 * time.Microsecond, 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	before, err := ProcessCPU(pid)
	for err == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("server does not come to rest: %w", ctx.Err())
		case <-time.After(span):
		}
		var after time.Duration
		if after, err = ProcessCPU(pid); err == nil && after-before < least {
			return nil
		}
		before = after
	}
	return err
}

// Resident returns the bytes of a process that are in memory. The kernel
// counts them page by page for this; the cheaper statm may lag behind.
func Resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parseResident(text)
}

// WriteCalls returns how many write system calls (write, writev and their like) a
// process has made so far, those to files and to wake its own pollers included. It is
// 0 where the kernel does not count them.
func WriteCalls(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return parseWriteCalls(text)
}
