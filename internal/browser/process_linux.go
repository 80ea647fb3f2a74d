package browser

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the process when the thread that starts it
// ends: a test that runs out of time ends without cleaning up.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
