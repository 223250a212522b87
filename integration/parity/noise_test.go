package parity_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// noise are sessions of the same user and database that share the script's server
// connections and leave on them what a session may leave: settings, a role, prepared
// statements under the names that scripts use.
func noise(t *testing.T, address, database string) (stop func()) {
	t.Helper()
	const sessions = 2
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, sessions)
	for i := range sessions {
		go func() { done <- disturb(ctx, address, database, i) }()
	}
	return func() {
		cancel()
		for range sessions {
			if err := <-done; err != nil {
				t.Errorf("a session beside the script: %v", err)
			}
		}
	}
}

func disturb(ctx context.Context, address, database string, number int) error {
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@%s/%s", address, database))
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the script counts
	for round := 0; ; round++ {
		err := disturbOnce(ctx, conn, number, round)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func disturbOnce(ctx context.Context, conn *pgx.Conn, number, round int) error {
	text := fmt.Sprintf("SELECT %d", number*1_000_000+round%50)
	for _, name := range []string{"a", "b", "x", "s1", "stmt"} {
		if _, err := conn.Prepare(ctx, name, text); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		var n int
		if err := conn.QueryRow(ctx, name).Scan(&n); err != nil || n != number*1_000_000+round%50 {
			return fmt.Errorf("a prepared statement answered %d, %w", n, err)
		}
		if err := conn.Deallocate(ctx, name); err != nil {
			return fmt.Errorf("deallocate: %w", err)
		}
	}
	zone := []string{"Asia/Tokyo", "Europe/Paris"}[number%2]
	for _, sql := range []string{"SET timezone = '" + zone + "'", "SET search_path = pg_catalog", "SET ROLE reader",
		"SET noise.a = 'noise'", "SET extra_float_digits = 0"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	var got, role string
	if err := conn.QueryRow(ctx, "SELECT current_setting('timezone'), current_user", pgx.QueryExecModeExec).Scan(&got, &role); err != nil || got != zone || role != "reader" {
		return fmt.Errorf("timezone %q, role %q, %w", got, role, err)
	}
	_, err := conn.Exec(ctx, []string{"RESET ALL; RESET ROLE", "DISCARD ALL", "SET SESSION AUTHORIZATION DEFAULT; RESET ALL"}[round%3])
	return err
}
