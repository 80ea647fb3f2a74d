//go:build linux

package rig

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Launcher starts processes on given CPUs. It does so from one thread that lives as
// long as the program: a process inherits the affinity of the thread that starts it.
// The kernel kills the process when that thread is gone, also when this program is
// killed.
type Launcher struct {
	work chan func()
}

// NewLauncher returns a Launcher. There is no need to end it.
func NewLauncher() *Launcher {
	l := &Launcher{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range l.work {
			f()
		}
	}()
	return l
}

// Start starts the command on the given CPUs.
func (l *Launcher) Start(cmd *exec.Cmd, cpus ...int) error {
	// Its own process group: ^C is for this program, which ends its processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	result := make(chan error)
	l.work <- func() {
		var old, chosen unix.CPUSet
		for _, cpu := range cpus {
			chosen.Set(cpu)
		}
		err := unix.SchedGetaffinity(0, &old)
		if err == nil {
			err = unix.SchedSetaffinity(0, &chosen)
		}
		if err != nil {
			err = fmt.Errorf("cannot choose CPUs %v: %w", cpus, err)
		} else {
			err = errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &old))
		}
		result <- err
	}
	return <-result
}

// AllowedCPUs are the CPUs that this process may use.
func AllowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}
