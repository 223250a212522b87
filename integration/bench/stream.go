package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
)

// streamSQL are large answers, of rows of about 100 bytes and of a table's.
var streamSQL = map[kind]string{
	kindRows: "SELECT * FROM pgbench_accounts",
	kindCopy: "COPY pgbench_accounts TO STDOUT",
}

// stream has clients read large answers for so many seconds and counts bytes.
func stream(ctx context.Context, port int, l load, user, database string, seconds int) (bytes int64, took time.Duration, err error) {
	counts := make([]int64, l.clients)
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	end := start.Add(time.Duration(seconds) * time.Second)
	for i := range counts {
		group.Go(func() error {
			c, err := login(port, user, database)
			if err != nil {
				return err
			}
			defer c.leave()
			for time.Now().Before(end) && ctx.Err() == nil {
				n, err := c.drain(streamSQL[l.kind])
				if err != nil {
					return err
				}
				counts[i] += n
			}
			return nil
		})
	}
	err = group.Wait()
	for _, n := range counts {
		bytes += n
	}
	return bytes, time.Since(start), err
}

// drain sends a query and reads its answer without looking into it.
func (c client) drain(sql string) (int64, error) {
	if err := c.conn.SetDeadline(time.Now().Add(2 * clientTimeout)); err != nil {
		return 0, err
	}
	if _, err := c.conn.Write(queryMessage(sql)); err != nil {
		return 0, err
	}
	buf := make([]byte, 256<<10)
	var total int64
	have := 0
	for {
		n, err := c.conn.Read(buf[have:])
		if err != nil {
			return total, fmt.Errorf("read a large answer: %w", err)
		}
		total += int64(n)
		have += n
		at := 0
		for have-at >= 5 {
			size := 1 + int(binary.BigEndian.Uint32(buf[at+1:]))
			if size > len(buf) {
				return total, fmt.Errorf("read a large answer: a message of %d bytes", size)
			}
			if have-at < size {
				break
			}
			switch buf[at] {
			case 'Z':
				return total, nil
			case 'E':
				return total, fmt.Errorf("read a large answer: %w: %q", io.ErrUnexpectedEOF, buf[at:at+size])
			}
			at += size
		}
		have = copy(buf, buf[at:have])
	}
}
