// Package launch starts processes that end with ours.
package launch

import (
	"os/exec"
	"runtime"
)

// Start starts a process whose SysProcAttr has a Pdeathsig, and says on ended how it ended. The kernel sends that signal when the
// thread that started it ends, not when our process does, and threads end while we live. So a goroutine keeps its
// thread until the process has ended. What before does is done on that thread: it may enter a network namespace.
func Start(cmd *exec.Cmd, before func() error) (ended <-chan error, err error) {
	started, ends := make(chan error), make(chan error, 1)
	go func() { // ends with the process, and the thread with it
		runtime.LockOSThread()
		if before != nil {
			if err := before(); err != nil {
				started <- err
				return
			}
		}
		err := cmd.Start()
		if started <- err; err == nil {
			ends <- cmd.Wait()
		}
	}()
	return ends, <-started
}
