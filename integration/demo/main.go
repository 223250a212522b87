package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

func main() {
	port := flag.Int("port", 9999, "port for howdah")
	bin := flag.String("howdah", "bin/howdah", "the howdah binary")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, os.Stdout, *bin, *port)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// isFree fails if something else listens on howdah's port: it would be taken for howdah.
func isFree(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("port %d is not free (bin/demo -port N takes another): %w", port, err)
	}
	return l.Close()
}

// run is the whole demo. It returns when ctx ends or something fails, and has then
// stopped and removed what it made.
func run(ctx context.Context, out io.Writer, bin string, port int) (err error) {
	if bin, err = filepath.Abs(bin); err != nil {
		return fmt.Errorf("find howdah: %w", err)
	}
	if _, err := os.Stat(bin); err != nil {
		return fmt.Errorf("find howdah (make build makes it): %w", err)
	}
	if err := isFree(port); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "howdah-demo-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	fmt.Fprintln(out, "Starting a PostgreSQL primary and two streaming standbys ...")
	cluster, err := pgcluster.New(dir, pgcluster.Options{Standbys: 2})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, cluster.Close())
		fmt.Fprintln(out, "Everything is stopped and removed.")
	}()
	if err := cluster.Start(ctx); err != nil {
		return err
	}
	if err := cluster.Exec(ctx, 0, "postgres", "CREATE DATABASE pgbench"); err != nil {
		return err
	}
	if err := cluster.WaitReplay(ctx, 0); err != nil {
		return err
	}
	page, err := pgcluster.FreePort()
	if err != nil {
		return err
	}
	server, err := startHowdah(bin, dir, port, page, cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	s := show{ctx: ctx, out: out, cluster: cluster, port: port, page: page}
	if err := s.all(server); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nStopping ...")
		return nil
	case <-server.Exited():
		return errors.New("howdah ended by itself")
	}
}

// startHowdah puts howdah's files below the cluster's directory, so that they go
// with it even if this process is killed. The primary's weight is 0, which keeps
// plain reads off it.
func startHowdah(bin, dir string, port, page int, cluster *pgcluster.Cluster) (*howdahtest.Server, error) {
	files := filepath.Join(dir, "howdah")
	if err := os.Mkdir(files, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	server, err := howdahtest.Launch(bin, files, port, howdahtest.Options{
		Cluster: cluster, Weights: []float64{0, 1, 1},
		Settings: map[string]any{"admin.http.addresses": []string{"127.0.0.1"}, "admin.http.port": page, "admin.http.anonymous": true},
	})
	if err != nil {
		return nil, err
	}
	return server, nil
}
