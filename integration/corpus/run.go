package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
)

// script is a file for psql.
type script struct {
	// name is how labels and -only call it; path is the file.
	name, path string
	// dir is where psql runs, for files that the script names.
	dir string
	// database is made before the first script that names it.
	database string
}

// scriptTimeout bounds one script; what it has not run by then is not labelled.
const scriptTimeout = 3 * time.Minute

// sessionOptions bound what the session under test waits for.
const sessionOptions = "-c statement_timeout=30s -c lock_timeout=5s"

// clusterOptions is a primary and the standby that statements are tried on.
func clusterOptions() pgcluster.Options {
	return pgcluster.Options{Standbys: 1, Settings: map[string]string{
		"max_prepared_transactions": "10",
		"track_commit_timestamp":    "off",
		"log_statement":             "none",
		"log_min_messages":          "fatal",
		// Otherwise two nodes may begin a scan at different pages.
		"synchronize_seqscans": "off",
		// Autovacuum would make the primary's plans and statistics change under the trials.
		"autovacuum": "off",
	}}
}

// found is what a run showed.
type found struct {
	labels []label
	counts counts
}

// run labels the statements of the scripts on a started cluster. With the address of
// a howdah in front of it the statements go through that, and it judges them too. env is
// added to psql's environment; done is told of every script that has run.
func run(ctx context.Context, cluster *pgcluster.Cluster, howdah string, scripts []script, env []string, done func(s script, took time.Duration, labels []label) error) (*found, error) {
	r, err := newRelay(ctx, cluster, howdah)
	if err != nil {
		return nil, err
	}
	serving := make(chan struct{})
	go func() { // run waits for it below
		defer close(serving)
		r.serve(ctx)
	}()
	f := &found{}
	databases := map[string]bool{}
	var runErr error
	for _, s := range scripts {
		if ctx.Err() != nil {
			break // what was found until now is worth reporting
		}
		if !databases[s.database] {
			databases[s.database] = true
			create := fmt.Sprintf("CREATE DATABASE %s TEMPLATE template0", s.database)
			if runErr = cluster.Exec(ctx, 0, "postgres", create); runErr != nil {
				break
			}
		}
		r.script(s.name)
		start := time.Now()
		if runErr = r.psql(ctx, cluster, s, env); runErr != nil {
			break
		}
		var labels []label
		if labels, f.counts, runErr = r.take(); runErr != nil {
			break
		}
		f.labels = append(f.labels, labels...)
		if runErr = done(s, time.Since(start), labels); runErr != nil {
			break
		}
	}
	closeErr := r.listener.Close()
	<-serving
	_, _, err = r.take()
	if err := errors.Join(runErr, closeErr, err); err != nil {
		return nil, err
	}
	return f, nil
}

// psql runs one script through the relay. The statements may fail, psql may not.
func (r *relay) psql(ctx context.Context, cluster *pgcluster.Cluster, s script, env []string) error {
	ctx, cancel := context.WithTimeout(ctx, scriptTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, cluster.Program("psql"), "-X", "-q", "-f", s.path)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", r.port()), "PGUSER=postgres",
		"PGDATABASE="+s.database, "PGOPTIONS="+sessionOptions, "PGSSLMODE=disable", "PGGSSENCMODE=disable", "PSQLRC=/dev/null", "LC_ALL=C.UTF-8")
	cmd.Env = append(cmd.Env, env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil && exit.Exited() {
		return nil // a script that ends with \quit or a lost connection
	}
	if err != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("run psql with %s: %w", s.path, err)
	}
	return nil
}
