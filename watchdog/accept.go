package watchdog

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"
)

// acceptAll hands all connections over until ctx ends or the listener is closed. Whose they are is for the log.
func acceptAll(ctx context.Context, l net.Listener, log *slog.Logger, whose string, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			log.Warn(whose+" connection was not accepted", "error", err)
			time.Sleep(50 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		serve(conn)
	}
}
