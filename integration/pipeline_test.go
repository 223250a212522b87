package integration_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// pipelineDepth is how many statements a client sends before it reads an answer.
const pipelineDepth = 1000

func TestDeepPipelinesShared(t *testing.T) { TestDeepPipelines(t) }

// TestDeepPipelines sends reads, writes and errors by the thousand before the first answer is read. Answers come in the order of their
// statements, a read sees the writes before it though a standby could have answered it, and an error skips what PostgreSQL would skip.
func TestDeepPipelines(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, "CREATE TABLE steps (n int PRIMARY KEY); CREATE TABLE still AS SELECT generate_series(0, 999) AS n")
	conn := f.pgconn(t)
	defer conn.Close(context.Background()) //nolint:errcheck // it has done its work
	for name, sql := range map[string]string{
		"write": "INSERT INTO steps VALUES ($1)", "count": "SELECT count(*) FROM steps WHERE n >= $1", "read": "SELECT n FROM still WHERE n = $1", "fail": "SELECT 1 / ($1::int - $1)",
	} {
		f.prepare(t, conn, name, sql)
	}
	for _, row := range []struct {
		name string
		sync int // a Sync after so many statements
	}{
		{"a Sync for each", 1},
		{"a Sync for seven", 7},
		{"one Sync", pipelineDepth},
	} {
		_, err := conn.Exec(t.Context(), "TRUNCATE steps").ReadAll()
		must(t, err)
		deepPipeline(t, conn, row.name, row.sync)
	}
}

// deepStep is one statement of a pipeline, and the answer that it must get: its row, "" without one, its SQLSTATE, or "skipped".
type deepStep struct{ name, argument, want string }

// deepSteps are a pipeline's statements: of ten, four read a table at rest, three write, two count what has been written. All of the last
// hundred come after an error, which PostgreSQL takes back with what stands between its Syncs, and skips up to the next.
func deepSteps(sync int) []deepStep {
	steps := make([]deepStep, pipelineDepth)
	kept, written := 0, 0 // by finished units, by the open one
	failed := false
	for i := range steps {
		if i%sync == 0 {
			kept, written, failed = kept+written, 0, false
		}
		s := deepStep{name: "read", argument: strconv.Itoa(i), want: strconv.Itoa(i)}
		switch i % 10 {
		case 1, 4, 8:
			s.name, s.want = "write", ""
		case 2, 9:
			s.name, s.argument = "count", "0"
			s.want = strconv.Itoa(kept + written)
		case 5:
			if i > pipelineDepth-100 {
				s.name, s.want = "fail", "22012"
			}
		}
		switch {
		case failed:
			s.want = "skipped"
		case s.name == "write":
			written++
		case s.name == "fail":
			failed, written = true, 0
		}
		steps[i] = s
	}
	return steps
}

func deepPipeline(t *testing.T, conn *pgconn.PgConn, name string, sync int) {
	t.Helper()
	steps := deepSteps(sync)
	p := conn.StartPipeline(t.Context())
	for i, s := range steps {
		p.SendQueryPrepared(s.name, [][]byte{[]byte(s.argument)}, nil, nil)
		if (i+1)%sync == 0 || i == len(steps)-1 {
			p.SendPipelineSync()
		}
	}
	must(t, p.Flush())
	for i, s := range steps {
		got := "skipped"
		if s.want != "skipped" {
			got = deepAnswer(p)
		}
		if got != s.want {
			t.Fatalf("%s: statement %d (%s %s) gets %q, want %q", name, i, s.name, s.argument, got, s.want)
		}
		if (i+1)%sync == 0 || i == len(steps)-1 {
			if result, err := p.GetResults(); err != nil {
				t.Fatalf("%s: after statement %d: %v", name, i, err)
			} else if _, ok := result.(*pgconn.PipelineSync); !ok {
				t.Fatalf("%s: after statement %d comes %T, not the end of the unit", name, i, result)
			}
		}
	}
	must(t, p.Close())
}

// deepAnswer is what the next statement of a pipeline got.
func deepAnswer(p *pgconn.Pipeline) string {
	result, err := p.GetResults()
	if err != nil {
		return orState(err)
	}
	reader, ok := result.(*pgconn.ResultReader)
	if !ok {
		return fmt.Sprintf("%T", result)
	}
	rows := reader.Read()
	switch {
	case rows.Err != nil:
		return orState(rows.Err)
	case len(rows.Rows) == 0:
		return ""
	}
	return string(rows.Rows[0][0])
}

func orState(err error) string {
	if code := sqlState(err); code != "" {
		return code
	}
	return err.Error()
}
