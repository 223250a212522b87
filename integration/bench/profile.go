package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// profiled is who is profiled: it routes, which the others do not.
const profiled = "howdah3"

// profiler asks howdah, while it is under the load of one kind after the other, where its time goes.
type profiler struct {
	dir   string   // the launcher's
	parts []string // files, one of each round
}

// adminSocket is where howdah listens for operators, in its own directory.
const adminSocket = "admin.sock"

// during profiles the contender that was started as that, for so many seconds from now on; wait returns when the profile has been written.
func (p *profiler) during(ctx context.Context, as string, seconds int) (wait func() error) {
	file := filepath.Join(p.dir, as+".pprof")
	p.parts = append(p.parts, file)
	done := make(chan error, 1)
	go func() {
		done <- fetchProfile(ctx, filepath.Join(p.dir, as, adminSocket), file, seconds)
	}() // ends with the answer
	return func() error { return <-done }
}

func fetchProfile(ctx context.Context, socket, file string, seconds int) error {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://howdah/debug/pprof/profile?seconds=%d", seconds), nil)
	if err != nil {
		return fmt.Errorf("ask for a profile: %w", err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("ask for a profile: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read to its end
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("read the profile: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for a profile: %s: %s", answer.Status, body)
	}
	return os.WriteFile(file, body, 0o644)
}

// write puts the profiles of all rounds together into one file, as `go build` takes it (-pgo).
func (p *profiler) write(ctx context.Context, file string) error {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-proto"}, p.parts...)...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("merge the profiles: %w: %s", err, said.Bytes())
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}
