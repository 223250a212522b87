package pgcluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// keeperScript waits for the end of its input, which is the end of the process
// that made the cluster. The servers got SIGQUIT from the kernel at the same
// moment; the script gives them time, kills what remains, and removes the
// directory. $1 is the cluster's directory.
const keeperScript = `
trap '' INT TERM HUP QUIT
while read -r _; do :; done
[ -d "$1" ] || exit 0
alive() {
	pid=$(head -n 1 "$1" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = postgres ]
}
for file in "$1"/node*/postmaster.pid; do
	i=0
	while alive "$file" && [ $i -lt 100 ]; do
		[ $i -eq 50 ] && kill -KILL "$pid"
		i=$((i + 1)); sleep 0.1
	done
	[ -e "$file" ] && ipcrm -m "$(sed -n 7p "$file" | awk '{print $2}')" 2>/dev/null
done
i=0
until rm -rf "$1" 2>/dev/null || [ $i -ge 50 ]; do i=$((i + 1)); sleep 0.1; done
`

// keeper is the shell that outlives us by a moment to clean up.
type keeper struct {
	cmd   *exec.Cmd
	input io.WriteCloser
}

func startKeeper(dir string) (*keeper, error) {
	cmd := exec.Command("/bin/sh", "-c", keeperScript, "howdah-keeper", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make keeper's pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start keeper: %w", err)
	}
	return &keeper{cmd: cmd, input: input}, nil
}

// release lets the keeper end and waits for it.
func (k *keeper) release() error {
	if err := errors.Join(k.input.Close(), k.cmd.Wait()); err != nil {
		return fmt.Errorf("end keeper: %w", err)
	}
	return nil
}

// freeSharedMemory removes the System V segment that a postmaster leaves behind
// when it is killed; its number is in the postmaster.pid it leaves as well.
func freeSharedMemory(dir string) error {
	f, err := os.Open(filepath.Join(dir, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open postmaster.pid: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	const shmLine = 7
	lines := bufio.NewScanner(f)
	for range shmLine {
		if !lines.Scan() {
			return nil
		}
	}
	fields := strings.Fields(lines.Text())
	if len(fields) != 2 {
		return nil
	}
	id, err := strconv.Atoi(fields[1])
	if err != nil {
		return fmt.Errorf("read shared memory id: %w", err)
	}
	const ipcRmid = 0
	_, _, errno := syscall.Syscall(syscall.SYS_SHMCTL, uintptr(id), ipcRmid, 0)
	if errno != 0 && errno != syscall.EINVAL && errno != syscall.EIDRM {
		return fmt.Errorf("remove shared memory segment %d: %w", id, errno)
	}
	return nil
}
