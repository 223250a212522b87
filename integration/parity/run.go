package parity

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
)

// Target is where a script's connections go.
type Target struct {
	Address  string // host:port
	Database string
	// Cluster runs the orders that go past howdah.
	Cluster *pgcluster.Cluster
}

type run struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call of Run
	target Target
	conns  map[string]*conn
}

// Run plays the script and returns what each of its connections received, as
// comparable lines, all lines of one connection after those of another.
func Run(ctx context.Context, s *Script, target Target) ([]string, error) {
	r := &run{ctx: ctx, target: target, conns: map[string]*conn{}}
	var failed error
	for _, step := range s.Steps {
		if failed = r.step(step); failed != nil {
			failed = fmt.Errorf("%s:%d: %s: %w", s.Name, step.Line, step.Command, failed)
			break
		}
	}
	lines, err := r.finish(s.OwnErrors)
	if failed == nil {
		failed = err
	}
	return lines, failed
}

// finish ends all connections and renders what they received.
func (r *run) finish(own []string) ([]string, error) {
	names := make([]string, 0, len(r.conns))
	for name := range r.conns {
		names = append(names, name)
	}
	sort.Strings(names)
	var lines []string
	var failed error
	n := &normaliser{database: r.target.Database, oids: map[uint32]uint32{}, own: own}
	for _, name := range names {
		frames, err := r.conns[name].end()
		if err != nil && failed == nil {
			failed = fmt.Errorf("end connection %q: %w", name, err)
		}
		for _, line := range n.describe(frames) {
			lines = append(lines, name+"> "+line)
		}
		lines = append(lines, name+"> closed")
	}
	return lines, failed
}

func (r *run) step(s Step) error {
	switch s.Command {
	case "direct":
		return r.target.Cluster.Exec(r.ctx, 0, r.target.Database, s.text(0))
	case "until":
		return r.until(s.text(0))
	case "Startup":
		return r.open(s)
	}
	c, err := r.conn(s.Conn)
	if err != nil {
		return err
	}
	switch s.Command {
	case "wait":
		return c.awaitReady()
	case "await":
		return r.await(c, s)
	case "settle":
		return r.settle(c, s)
	case "eof":
		return c.awaitEOF()
	case "cancel":
		return r.cancel(c)
	}
	data, err := s.encode()
	if err != nil {
		return err
	}
	if s.answered() {
		c.owed++
	}
	return c.send(data)
}

func (r *run) await(c *conn, s Step) error {
	count, err := s.number(1)
	if err != nil {
		return err
	}
	return c.awaitFrames(s.text(0)[0], max(1, int(count)))
}

// settle waits for all answers, however many they are: those of an empty statement with a number of
// parameters that no other of the script has, which any block allows, come last.
func (r *run) settle(c *conn, s Step) error {
	number, err := s.number(0)
	if err != nil {
		return err
	}
	types := make([]byte, 4*number)
	for at := 0; at < len(types); at += 4 {
		binary.BigEndian.PutUint32(types[at:], 23)
	}
	name := cstring(nil, "settle")
	parse := append(appendCount(append(name[:len(name):len(name)], 0), int(number)), types...)
	object := append([]byte{'S'}, name...)
	for _, message := range [][]byte{frame('P', parse), frame('D', object), frame('C', object), frame('S', nil)} {
		if err := c.send(message); err != nil {
			return err
		}
	}
	return c.awaitSettled(int(number))
}

// conn returns the named connection, opening it the usual way if it is new.
func (r *run) conn(name string) (*conn, error) {
	if c := r.conns[name]; c != nil {
		return c, nil
	}
	if err := r.open(Step{Conn: name}); err != nil {
		return nil, err
	}
	return r.conns[name], r.conns[name].awaitReady()
}

// open starts a connection; the parameters' order is fixed.
func (r *run) open(s Step) error {
	version, ok := s.Options["version"]
	if !ok {
		version = "3.0"
	}
	majorText, minorText, _ := strings.Cut(version, ".")
	major, err := strconv.ParseUint(majorText, 10, 16)
	if err != nil {
		return fmt.Errorf("read version: %w", err)
	}
	minor, err := strconv.ParseUint(minorText, 10, 16)
	if err != nil {
		return fmt.Errorf("read version: %w", err)
	}
	parameters := map[string]string{"user": "postgres", "database": r.target.Database, "client_encoding": "UTF8"}
	for key, value := range s.Options {
		parameters[key] = strings.ReplaceAll(value, "+", " ")
	}
	delete(parameters, "version")
	names := make([]string, 0, len(parameters))
	for name := range parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	var ordered [][2]string
	for _, name := range names {
		if parameters[name] != "" {
			ordered = append(ordered, [2]string{name, parameters[name]})
		}
	}
	c, err := dial("tcp4", r.target.Address, s.Conn)
	if err != nil {
		return err
	}
	r.conns[s.Conn] = c
	c.owed++
	return c.send(startup(uint16(major), uint16(minor), ordered))
}

// cancel sends a cancel request as libpq does, and waits until the other side has
// read it.
func (r *run) cancel(c *conn) error {
	key, err := c.backendKey()
	if err != nil {
		return err
	}
	sock, err := net.DialTimeout("tcp4", r.target.Address, waitTimeout)
	if err != nil {
		return fmt.Errorf("connect to cancel: %w", err)
	}
	defer sock.Close() //nolint:errcheck // read to its end below
	const cancelCode = 80877102
	data := binary.BigEndian.AppendUint32(nil, uint32(8+len(key)))
	data = append(binary.BigEndian.AppendUint32(data, cancelCode), key...)
	if err := sock.SetDeadline(time.Now().Add(waitTimeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if _, err := sock.Write(data); err != nil {
		return fmt.Errorf("send cancel: %w", err)
	}
	if _, err := io.ReadAll(sock); err != nil {
		return fmt.Errorf("wait for the end of cancel: %w", err)
	}
	return nil
}

// until polls every node until one of them says true.
func (r *run) until(sql string) error {
	const pollEvery = 10 * time.Millisecond
	for deadline := time.Now().Add(waitTimeout); time.Now().Before(deadline); {
		for i := range r.target.Cluster.Nodes() {
			answer, err := r.target.Cluster.Value(r.ctx, i, r.target.Database, sql)
			if err != nil {
				return err
			}
			if answer == "true" {
				return nil
			}
		}
		time.Sleep(pollEvery)
	}
	return fmt.Errorf("still not true after %v: %s", waitTimeout, sql)
}
