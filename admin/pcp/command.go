package pcp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/howdah/howdah/admin"
)

// answer makes the reply to one command; its error becomes an error report.
type answer func(ctx context.Context, s *Server, by admin.Caller, payload []byte) ([]byte, error)

// command is what a letter asks for.
type command struct {
	// failed begins the error report, as Pgpool-II words it.
	failed string
	answer answer
}

// commands are PCP's, by their letters.
var commands = map[byte]command{
	'L': {"informing node count failed", nodeCount},
	'I': {"informing node info failed", nodeInfo},
	'H': {"informing health check stats failed", healthStats},
	'N': {"informing process count failed", processCount},
	'P': {"informing process info failed", processInfo},
	'B': {"informing pool status failed", poolStatus},
	'W': {"informing watchdog info failed", watchdogInfo},
	'C': {"could not process attach request", runNode('c', "attach")},
	'D': {"could not process detach request", runNode('d', "detach")},
	'd': {"could not process detach request", runNode('d', "detach", "gracefully")},
	'O': {"could not process recovery request", runNode('c', "recover")},
	'J': {"could not process promote request", promote()},
	'j': {"could not process promote request", promote("gracefully")},
	'T': {"could not process stop request", stop},
	't': {"could not process stop request", stop},
	'Z': {"could not process reload config request", reload},
	'V': {"could not process log rotate request", rotate},
	'G': {"could not process invalidate query cache request", invalidate},
	'A': {"could not process set parameter request", setParameter},
}

// reply carries out a command. An error ends the connection.
func (s *Server) reply(ctx context.Context, by admin.Caller, typ byte, payload []byte) ([]byte, error) {
	if typ == 'F' { // "stop online recovery": there is nothing to stop, and nobody waits for an answer
		return nil, nil
	}
	c, ok := commands[typ]
	if !ok {
		return nil, fmt.Errorf("%w: unknown command %q", errMalformed, typ)
	}
	b, err := c.answer(ctx, s, by, payload)
	if errors.Is(err, errMalformed) {
		return nil, err
	}
	s.Log.Debug("PCP command", "letter", string(typ), "user", by.User, "error", err)
	if err != nil {
		return appendError(nil, "ERROR", c.failed, err.Error()), nil
	}
	return b, nil
}

// number reads the payload of a command that takes one number.
func number(payload []byte) (int, error) {
	fields, ok := texts(payload, 1)
	if !ok {
		return 0, errMalformed
	}
	n, err := strconv.Atoi(strings.TrimSpace(fields[0]))
	if err != nil {
		return 0, errMalformed
	}
	return n, nil
}

var errNode = errors.New("invalid node ID")

func nodeCount(_ context.Context, s *Server, _ admin.Caller, _ []byte) ([]byte, error) {
	return appendMessage(nil, 'l', complete, strconv.Itoa(len(s.Admin.PoolNodes()))), nil
}

func nodeInfo(_ context.Context, s *Server, _ admin.Caller, payload []byte) ([]byte, error) {
	id, err := number(payload)
	if err != nil {
		return nil, err
	}
	nodes := s.Admin.PoolNodes()
	if id >= len(nodes) || id < -1 {
		return nil, errNode
	}
	if id >= 0 {
		nodes = nodes[id : id+1]
	}
	b := appendMessage(nil, 'i', "ArraySize", strconv.Itoa(len(nodes)))
	for i := range nodes {
		b = appendMessage(b, 'i', s.nodeFields(&nodes[i])...)
	}
	return appendMessage(b, 'i', complete), nil
}

// randMax is C's RAND_MAX, in which Pgpool-II counts weights.
const randMax = 1<<31 - 1

func (s *Server) nodeFields(n *admin.PoolNode) []string {
	role := "3"
	if n.Role == "primary" {
		role = "2"
	}
	f := []string{"NodeInfo", n.Host, strconv.Itoa(n.Port), strconv.Itoa(n.Status), "0", n.PGStatus,
		fmt.Sprintf("%f", n.Weight*randMax), role, n.PGRole}
	if s.Admin.Speaks(4) {
		f = append(f, "0") // the delay is in bytes
	}
	return append(f, strconv.FormatInt(n.Delay, 10), n.Sender.State, n.Sender.Sync, strconv.FormatInt(n.ChangedAt.Unix(), 10))
}

func healthStats(_ context.Context, s *Server, _ admin.Caller, payload []byte) ([]byte, error) {
	id, err := number(payload)
	if err != nil {
		return nil, err
	}
	rows := s.Admin.HealthStats().Texts()
	if id < 0 || id >= len(rows) {
		return nil, errNode
	}
	return appendMessage(nil, 'h', append([]string{complete}, rows[id]...)...), nil
}

// processIDs are the numbers of the sessions, and of howdah itself for its idle server connections.
func (s *Server) processIDs() []string {
	var ids []string
	seen := map[int64]bool{}
	for _, p := range s.Admin.PoolProcesses(os.Getpid()) {
		if !seen[p.PID] {
			seen[p.PID] = true
			ids = append(ids, strconv.FormatInt(p.PID, 10))
		}
	}
	return ids
}

func processCount(_ context.Context, s *Server, _ admin.Caller, _ []byte) ([]byte, error) {
	ids := s.processIDs()
	return appendMessage(nil, 'n', append([]string{complete, strconv.Itoa(len(ids))}, ids...)...), nil
}

func processInfo(_ context.Context, s *Server, _ admin.Caller, payload []byte) ([]byte, error) {
	pid, err := number(payload)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, p := range s.Admin.PoolProcesses(os.Getpid()) {
		if pid != 0 && p.PID != int64(pid) {
			continue
		}
		row := []string{"ProcessInfo"}
		for _, f := range p.Fields(7) { // older clients do not look at what they do not know
			row = append(row, admin.Text(f))
		}
		rows = append(rows, row)
	}
	if pid != 0 && len(rows) == 0 {
		return nil, errors.New("invalid process ID")
	}
	b := appendMessage(nil, 'p', "ArraySize", strconv.Itoa(len(rows)))
	for _, row := range rows {
		b = appendMessage(b, 'p', row...)
	}
	return appendMessage(b, 'p', complete), nil
}

// The clients keep so much of a parameter's value and description, in bytes.
const (
	maxValue       = 511
	maxDescription = 79
)

func poolStatus(_ context.Context, s *Server, _ admin.Caller, _ []byte) ([]byte, error) {
	items := s.Admin.PoolStatus()
	n := len(items)
	b := append([]byte{'b', 0, 0, 0, 18}, "ArraySize\x00"...)
	b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	for _, i := range items {
		b = appendMessage(b, 'b', "ProcessConfig", i.Name, cut(i.Value, maxValue), cut(i.Description, maxDescription))
	}
	return appendMessage(b, 'b', complete), nil
}

func cut(text string, most int) string { return text[:min(len(text), most)] }

// runNode is a command about a node, by its number.
func runNode(letter byte, name string, more ...string) answer {
	return func(ctx context.Context, s *Server, by admin.Caller, payload []byte) ([]byte, error) {
		id, err := number(payload)
		if err != nil {
			return nil, err
		}
		return s.run(ctx, by, letter, name, append([]string{strconv.Itoa(id)}, more...)...)
	}
}

func promote(more ...string) answer {
	return func(ctx context.Context, s *Server, by admin.Caller, payload []byte) ([]byte, error) {
		if len(payload) < 2 { // "1 ", a zero byte, n or s
			return nil, errMalformed
		}
		option := payload[len(payload)-1]
		id, err := number(payload[:len(payload)-1])
		switch {
		case err != nil:
			return nil, err
		case option == 's':
			return s.run(ctx, by, 'd', "switchover", strconv.Itoa(id))
		case option != 'n':
			return nil, errMalformed
		}
		return s.run(ctx, by, 'd', "promote", append([]string{strconv.Itoa(id)}, more...)...)
	}
}

// run has the table carry out a command.
func (s *Server) run(ctx context.Context, by admin.Caller, letter byte, name string, args ...string) ([]byte, error) {
	if _, err := s.Admin.Run(ctx, by, name, args); err != nil {
		return nil, err
	}
	return appendMessage(nil, letter, complete), nil
}

func stop(ctx context.Context, s *Server, by admin.Caller, payload []byte) ([]byte, error) {
	mode, ok := map[string]string{"s": "smart", "f": "fast", "i": "immediate"}[string(payload)]
	if !ok {
		return nil, errMalformed
	}
	return s.run(ctx, by, 't', "stop", mode)
}

func reload(ctx context.Context, s *Server, by admin.Caller, payload []byte) ([]byte, error) {
	if string(payload) != "l" && string(payload) != "c" {
		return nil, errMalformed
	}
	return s.run(ctx, by, 'z', "reload")
}

// rotate: the scope, this howdah or all, is Pgpool-II's of a cluster; each howdah has its own file.
func rotate(ctx context.Context, s *Server, by admin.Caller, payload []byte) ([]byte, error) {
	if string(payload) != "l" && string(payload) != "c" {
		return nil, errMalformed
	}
	return s.run(ctx, by, 'v', "log-rotate")
}

func invalidate(context.Context, *Server, admin.Caller, []byte) ([]byte, error) {
	return nil, errors.New("query cache is not enabled")
}

// logLevels are howdah's for those of log_min_messages.
var logLevels = map[string]string{"debug5": "debug", "debug4": "debug", "debug3": "debug", "debug2": "debug", "debug1": "debug", "debug": "debug",
	"info": "info", "notice": "info", "log": "info", "warning": "warn", "error": "error", "fatal": "error", "panic": "error"}

// setParameter: Pgpool-II knows client_min_messages only, for notices to this client, which howdah never
// sends. Here log_min_messages sets what is logged, as the command log-level does.
func setParameter(ctx context.Context, s *Server, by admin.Caller, payload []byte) ([]byte, error) {
	fields, ok := texts(payload, 2)
	if !ok {
		return nil, errMalformed
	}
	if strings.EqualFold(fields[0], "log_min_messages") {
		level, ok := logLevels[strings.ToLower(fields[1])]
		if !ok {
			return nil, fmt.Errorf("%q is no value of log_min_messages", cut(fields[1], 100))
		}
		return s.run(ctx, by, 'a', "log-level", level)
	}
	if !strings.EqualFold(fields[0], "client_min_messages") {
		return nil, fmt.Errorf("parameter %q cannot be set", cut(fields[0], 100))
	}
	return appendMessage(nil, 'a', complete), nil
}
