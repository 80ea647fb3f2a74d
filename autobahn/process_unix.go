//go:build unix && !linux

package main

import (
	"os/exec"
	"syscall"
)

// isolate puts a command into a process group of its own, which can be killed
// as a whole and does not get the terminal's Ctrl-C: that is for us to handle.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func killGroup(cmd *exec.Cmd) error {
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
