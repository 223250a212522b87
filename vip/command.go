package vip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/howdah/howdah/configs"
)

const (
	// placeholder stands for the address in commands, as in Pgpool-II.
	placeholder = "$_IP_$"
	// maxOutput bounds what is kept of a command's output.
	maxOutput = 4 << 10
	// pipeWait is how long the output of a command that has ended is waited for, if
	// something that it started still holds it.
	pipeWait = time.Second
)

// commandLine puts the address into a command.
func commandLine(c configs.Command, p netip.Prefix) []string {
	line := make([]string, len(c))
	for i, word := range c {
		line[i] = strings.ReplaceAll(word, placeholder, p.Addr().String())
	}
	return line
}

// commandEnvironment is what a command finds besides howdah's own environment.
func commandEnvironment(p netip.Prefix, device string, epoch uint64) []string {
	return []string{
		"HOWDAH_VIP_ADDRESS=" + p.Addr().String(),
		"HOWDAH_VIP_PREFIX_LENGTH=" + strconv.Itoa(p.Bits()),
		"HOWDAH_VIP_INTERFACE=" + device,
		"HOWDAH_VIP_EPOCH=" + strconv.FormatUint(epoch, 10),
	}
}

// runCommand runs a command in a process group of its own, which is killed whole after
// the timeout or when ctx ends. The output, both kinds together, is cut after maxOutput.
// The error says how it ended, with the end of its output.
func runCommand(ctx context.Context, line, environment []string, timeout time.Duration) (output string, err error) {
	timed, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("killed after %s", timeout))
	defer cancel()
	cmd := exec.CommandContext(timed, line[0], line[1:]...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeWait
	var out limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start %s: %w", line[0], err)
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", cmd.Process.Pid), []byte("0"), 0) // the guardian's is not for others
	err = cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well and left something running
	}
	output = strings.TrimSpace(printable(out.kept.String()))
	switch {
	case err == nil:
		return output, nil
	case ctx.Err() != nil:
		return output, errCancelled
	case timed.Err() != nil:
		err = context.Cause(timed)
	}
	if output != "" {
		err = fmt.Errorf("%w: %s", err, lastLine(output))
	}
	return output, fmt.Errorf("%s: %w", line[0], err)
}

// printable replaces what a program's output should not do to a log.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || r != '\n' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// limitedBuffer keeps the first maxOutput bytes.
type limitedBuffer struct{ kept bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := maxOutput - b.kept.Len(); room > 0 {
		b.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
