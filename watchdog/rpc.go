package watchdog

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// request is a question of one member to another, or of an operator on the same host. Exactly one field is set.
type request struct {
	Hello   *helloRequest `json:"hello,omitempty"`
	Poll    *core.Poll    `json:"poll,omitempty"`
	Route   *routeRequest `json:"route,omitempty"`
	Yielded uint64        `json:"yielded,omitempty"` // the term whose leader holds no lease any more
	Join    *joinRequest  `json:"join,omitempty"`
	// Dead is a leader's death, as its guardian or another member says.
	Dead     *deathCertificate `json:"dead,omitempty"`
	Announce *core.Member      `json:"announce,omitempty"`
	Remove   core.MemberID     `json:"remove,omitempty"`
	Yield    *yieldRequest     `json:"yield,omitempty"`
	Pause    *bool             `json:"pause,omitempty"`
	Prefer   *core.MemberID    `json:"prefer,omitempty"`
	Abort    string            `json:"abort,omitempty"` // the failover under way, and why
	Status   bool              `json:"status,omitempty"`
	Service  *serviceCall      `json:"service,omitempty"`
}

type (
	helloRequest struct {
		List string `json:"list"` // listHash
	}
	helloAnswer struct {
		Server raft.ServerID `json:"server"`
		List   string        `json:"list"`
		// Plan is the hash of the member's plan. Running: it has a log.
		Plan    string `json:"plan,omitempty"`
		Running bool   `json:"running,omitempty"`
		// Generations are the identity's.
		Generations []string `json:"generations,omitempty"`
	}
	routeRequest struct {
		Ask     core.RouteAsk `json:"ask"`
		Fitness core.Fitness  `json:"fitness"`
	}
	joinRequest struct {
		Server  raft.ServerID `json:"server"`
		Address string        `json:"address"`
	}
	yieldRequest struct {
		To     core.MemberID `json:"to,omitempty"`
		Reason string        `json:"reason"`
	}
	serviceCall struct {
		Name string `json:"name"`
		Body []byte `json:"body,omitempty"`
	}
)

// answer is the answer to a request.
type answer struct {
	Error  string            `json:"error,omitempty"`
	Hello  *helloAnswer      `json:"hello,omitempty"`
	Joined bool              `json:"joined,omitempty"` // raft's configuration has the server
	Vote   *core.Vote        `json:"vote,omitempty"`
	Route  *core.RouteAnswer `json:"route,omitempty"`
	Status *Status           `json:"status,omitempty"`
	Body   []byte            `json:"body,omitempty"` // of a service
}

// Limits of requests.
const (
	maxFrame   = 1 << 20
	rpcTimeout = 2 * time.Second
	rpcIdle    = time.Minute
	maxIdle    = 4 // connections kept to one member
)

func writeFrame(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	if len(text) > maxFrame {
		return fmt.Errorf("a message of %d bytes is too long", len(text))
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return fmt.Errorf("a message of %d bytes is too long", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// serveRequests answers one connection's requests in order. handle gets the member at the
// other end.
func serveRequests(ctx context.Context, conn net.Conn, handle func(ctx context.Context, q request) answer) {
	for {
		if err := conn.SetDeadline(time.Now().Add(rpcIdle)); err != nil {
			return
		}
		var q request
		if err := readFrame(conn, &q); err != nil {
			return
		}
		if err := writeFrame(conn, handle(ctx, q)); err != nil {
			return
		}
	}
}

// caller asks other members, over connections that it keeps.
type caller struct {
	dial func(ctx context.Context, peer core.MemberID) (net.Conn, error)
	// answered, if it is not nil, hears of every answer, with when (now) the question was asked.
	answered func(peer core.MemberID, asked time.Duration)
	now      func() time.Duration

	mu   sync.Mutex
	idle map[core.MemberID][]net.Conn
}

func newCaller(dial func(context.Context, core.MemberID) (net.Conn, error)) *caller {
	return &caller{dial: dial, idle: map[core.MemberID][]net.Conn{}}
}

// call asks a member. A kept connection that turns out to be dead is replaced once.
func (c *caller) call(ctx context.Context, peer core.MemberID, q request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	conn := c.take(peer)
	kept := conn != nil
	for {
		if conn == nil {
			var err error
			if conn, err = c.dial(ctx, peer); err != nil {
				return answer{}, err
			}
		}
		asked := time.Duration(0)
		if c.now != nil {
			asked = c.now()
		}
		a, err := exchange(ctx, conn, q)
		if err == nil {
			c.keep(peer, conn)
			if c.answered != nil {
				c.answered(peer, asked)
			}
			if a.Error != "" {
				return a, fmt.Errorf("member %s: %s", peer, a.Error)
			}
			return a, nil
		}
		conn.Close()
		if !kept || ctx.Err() != nil {
			return answer{}, fmt.Errorf("ask member %s: %w", peer, err)
		}
		conn, kept = nil, false
	}
}

func exchange(ctx context.Context, conn net.Conn, q request) (answer, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return answer{}, errors.New("a request without a deadline")
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return answer{}, err
	}
	var a answer
	if err := writeFrame(conn, q); err != nil {
		return a, err
	}
	return a, readFrame(conn, &a)
}

func (c *caller) take(peer core.MemberID) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.idle[peer]
	if len(list) == 0 {
		return nil
	}
	c.idle[peer] = list[:len(list)-1]
	return list[len(list)-1]
}

func (c *caller) keep(peer core.MemberID, conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle[peer]) >= maxIdle {
		conn.Close()
		return
	}
	c.idle[peer] = append(c.idle[peer], conn)
}

func (c *caller) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range c.idle {
		for _, conn := range list {
			conn.Close()
		}
	}
	clear(c.idle)
}
