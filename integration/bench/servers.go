package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/howdah/howdah/integration/pgcluster"
)

// maxConnections is enough for every contender's pool at every server at once.
func maxConnections(o options) int {
	most := 0
	for _, c := range o.clients {
		most = max(most, c)
	}
	return (len(o.contenders)+1)*(most+24) + o.idleBusy + 50
}

// startCluster makes a primary and its standbys in dir. A cluster that is
// returned must be closed also on error.
func startCluster(ctx context.Context, dir string, connections int, shows certificate) (*pgcluster.Cluster, error) {
	cluster, err := pgcluster.New(dir, pgcluster.Options{
		Standbys: serverNodes - 1,
		Settings: map[string]string{
			"max_connections": strconv.Itoa(connections),
			"shared_buffers":  "256MB",
			"autovacuum":      "off", // none may come up in the middle of someone's turn
			"max_wal_size":    "4GB",
			"ssl":             "on",
			"ssl_cert_file":   shows.cert,
			"ssl_key_file":    shows.key,
		},
	})
	if err != nil {
		return nil, err
	}
	return cluster, cluster.Start(ctx)
}

// fillDatabase makes pgbench's tables and brings all servers to rest: visible
// rows are marked so, pages are in memory, and nothing is left to replay.
func fillDatabase(ctx context.Context, cluster *pgcluster.Cluster, bench pgbench, scale int) error {
	if err := cluster.Exec(ctx, 0, "postgres", "CREATE DATABASE "+benchDatabase); err != nil {
		return err
	}
	if err := bench.initialize(ctx, cluster.Port(0), scale); err != nil {
		return err
	}
	if err := cluster.Exec(ctx, 0, benchDatabase, "VACUUM (FREEZE, ANALYZE)"); err != nil {
		return err
	}
	if err := cluster.Exec(ctx, 0, benchDatabase, "CHECKPOINT"); err != nil {
		return err
	}
	if err := cluster.WaitReplay(ctx, 0); err != nil {
		return err
	}
	for i := range cluster.Nodes() {
		warm := "SELECT count(*), sum(abalance) FROM pgbench_accounts WHERE aid > 0"
		if err := cluster.Exec(ctx, i, benchDatabase, warm); err != nil {
			return fmt.Errorf("warm node %d: %w", i, err)
		}
	}
	return nil
}

// countConnections counts the clients of the benchmark's database at all nodes.
func countConnections(ctx context.Context, cluster *pgcluster.Cluster) (int, error) {
	counts, err := countSessions(ctx, cluster, "true")
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, err
}

// countReaders counts at each node the sessions that ran pgbench's read within
// the last moment: those of other contenders have been idle for longer.
func countReaders(ctx context.Context, cluster *pgcluster.Cluster) ([]int, error) {
	return countSessions(ctx, cluster, "query LIKE 'SELECT abalance FROM pgbench_accounts%' AND query_start > now() - interval '500 ms'")
}

// countSessions counts at each node the client sessions in the benchmark's
// database for which the SQL condition holds.
func countSessions(ctx context.Context, cluster *pgcluster.Cluster, condition string) ([]int, error) {
	const sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = '" + benchDatabase + "' AND "
	counts := make([]int, cluster.Nodes())
	for i := range counts {
		text, err := cluster.Value(ctx, i, "postgres", sql+condition)
		if err != nil {
			return nil, err
		}
		if counts[i], err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("count sessions of node %d: %w", i, err)
		}
	}
	return counts, nil
}
