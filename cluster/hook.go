package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/howdah/howdah/configs"
)

const (
	// maxHookOutput is how much of a command's output is kept: its end.
	maxHookOutput = 16 << 10
	// hookWait is how long after a command's end its output is waited for, in case a child of it keeps it open.
	hookWait = time.Second
)

// hookNode is a node as a command is told of it. The zero value is none.
type hookNode struct {
	known         bool
	id            NodeID
	name          string
	host, dataDir string
	port          int
}

// hookCall is one run of a command.
type hookCall struct {
	// node is the one that is concerned, main the new main node (or primary), oldMain and oldPrimary what was before.
	node, main, oldMain, oldPrimary hookNode
	epoch                           uint64
	stdin                           io.Reader // nil for none
}

// expand puts the values into a command's words. The letters are those of Pgpool-II's
// failover_command; one that it does not know vanishes, as there. In a text for the shell a value that is
// empty is written as "".
func (h *hookCall) expand(command configs.Command) []string {
	words := append([]string(nil), command...)
	shell := len(words) == 3 && words[0] == "/bin/sh" && words[1] == "-c"
	for i := range words {
		if shell && i < 2 {
			continue
		}
		words[i] = h.expandWord(words[i], shell)
	}
	return words
}

func (h *hookCall) expandWord(word string, shell bool) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(word, "%")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if after == "" {
			return b.String() + "%"
		}
		value, known := h.value(after[0])
		if known && value == "" && shell {
			value = `""`
		}
		b.WriteString(value)
		word = after[1:]
	}
}

// value is what a letter stands for.
func (h *hookCall) value(letter byte) (value string, known bool) {
	switch letter {
	case 'd':
		return h.node.number(), true
	case 'h':
		return h.node.host, true
	case 'p':
		return h.node.portText(), true
	case 'D':
		return h.node.dataDir, true
	case 'm':
		return h.main.number(), true
	case 'H':
		return h.main.host, true
	case 'r':
		return h.main.portText(), true
	case 'R':
		return h.main.dataDir, true
	case 'M':
		return h.oldMain.number(), true
	case 'P':
		return h.oldPrimary.number(), true
	case 'N':
		return h.oldPrimary.host, true
	case 'S':
		return h.oldPrimary.portText(), true
	case '%':
		return "%", true
	}
	return "", false
}

func (n *hookNode) number() string {
	if !n.known {
		return "-1"
	}
	return strconv.Itoa(int(n.id))
}

func (n *hookNode) portText() string {
	if !n.known {
		return ""
	}
	return strconv.Itoa(n.port)
}

// hookResult is what a command left behind.
type hookResult struct {
	// status is its exit status, -1 if it was killed or could not be started.
	status int
	// output is the end of what it wrote, standard output and standard error together.
	output string
	took   time.Duration
}

// runHook runs a command in a process group of its own, which is killed as a whole when ctx ends. It is an error
// if the command does not end with status 0.
func runHook(ctx context.Context, command configs.Command, call *hookCall) (hookResult, error) {
	words := call.expand(command)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("HOWDAH_EPOCH=%d", call.epoch), "HOWDAH_NODE="+call.node.name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = hookWait
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out tailBuffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = call.stdin, &out, &out
	start := time.Now()
	err := cmd.Run()
	res := hookResult{status: cmd.ProcessState.ExitCode(), output: out.String(), took: time.Since(start)}
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay) && res.status == 0: // a child of it that lives on is its own affair
		return res, nil
	case ctx.Err() != nil:
		return res, fmt.Errorf("killed: %w", context.Cause(ctx))
	case res.status > 0:
		return res, fmt.Errorf("ended with status %d: %s", res.status, lastLine(res.output))
	}
	return res, err
}

// lastLine is the last line of a text that is not empty.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct {
	mu   sync.Mutex
	kept []byte
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, p...)
	if over := len(b.kept) - maxHookOutput; over > 0 {
		b.kept = append(b.kept[:0], b.kept[over:]...)
	}
	return len(p), nil
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(bytes.ToValidUTF8(b.kept, []byte("?")))
}
