package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/howdah/howdah/configs"
	"github.com/jackc/pgx/v5/pgconn"
)

// Asker is a connection of the check user to a database, for howdah's own
// questions that are not about the server's state. It is not safe for concurrent use.
type Asker struct {
	conn     *pgconn.PgConn
	maxBytes int64
}

// ErrAnswerTooLarge is an answer that is longer than an Asker may read.
var ErrAnswerTooLarge = errors.New("answer is too large")

// NewAsker connects to a database of the node, as the probes of check do; ctx
// bounds it. Answers may have maxBytes each. The caller closes the Asker.
func NewAsker(ctx context.Context, n *Node, check configs.ReplicationCheck, database string, maxBytes int64) (*Asker, error) {
	check.Database = database
	config, err := connectionConfig(configs.Backend{Name: n.Name, Host: n.Host, Port: n.Port, ProxyProtocol: fmt.Sprintf("v%d", n.ProxyProtocol)}, check, n.TLS)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = "howdah catalog"
	config.MaxProtocolMessageBodyLen = int(min(maxBytes, 1<<30))
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &Asker{conn: conn, maxBytes: maxBytes}, nil
}

// Query runs one statement and returns its rows as text, NULL as the empty
// text. After an error the Asker can only be closed.
func (a *Asker) Query(ctx context.Context, sql string) ([][]string, error) {
	answer := a.conn.Exec(ctx, sql)
	var rows [][]string
	room := a.maxBytes
	for answer.NextResult() {
		result := answer.ResultReader()
		for result.NextRow() {
			row := make([]string, len(result.Values()))
			for i, field := range result.Values() {
				row[i] = string(field)
				room -= int64(len(field))
			}
			if room < 0 {
				a.Close() // the rest is not read
				return nil, ErrAnswerTooLarge
			}
			rows = append(rows, row)
		}
	}
	if err := answer.Close(); err != nil {
		return nil, err
	}
	return rows, nil
}

// Close closes the connection, within a short time.
func (a *Asker) Close() {
	c := connection{conn: a.conn}
	c.close()
}
