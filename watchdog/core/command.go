package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Kind names a command.
type Kind string

// The kinds of commands; those of failovers are in failover.go.
const (
	KindBegin  = Kind(stepBegin)
	KindBar    = Kind(stepBar)
	KindChoose = Kind(stepChoose)
	KindCommit = Kind(stepCommit)
	KindAbort  = Kind(stepAbort)

	KindMember  Kind = "member.set"
	KindForget  Kind = "member.forget"
	KindLevel   Kind = "level.raise"
	KindNode    Kind = "node.set"
	KindPrimary Kind = "primary.record"
	KindPause   Kind = "intent.pause"
	KindPrefer  Kind = "intent.prefer"
	KindOwner   Kind = "owner.note"
	KindNote    Kind = "note.set"
	// KindBeat changes nothing: that it is committed shows that the leader's disk and a
	// majority work.
	KindBeat Kind = "beat"
)

// Command changes the state, if it still is what the proposer thought.
type Command struct {
	Kind Kind `json:"kind"`
	// Epoch must be the state's, or the command has no effect.
	Epoch uint64 `json:"epoch"`
	// Failover, if not 0, must be the ID of the failover under way.
	Failover uint64 `json:"failover,omitempty"`
	// Request makes a command that may be proposed twice have its effect once; optional.
	Request string          `json:"request,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// The bodies of commands.
type (
	// BeginBody begins a failover away from the primary.
	BeginBody struct {
		From    NodeID `json:"from"`
		Reason  string `json:"reason"`
		Planned bool   `json:"planned,omitempty"`
		Votes   []Vote `json:"votes,omitempty"`
	}
	// ChooseBody names the candidate of the next attempt. Attempt must be one more than the state's.
	ChooseBody struct {
		Candidate NodeID `json:"candidate"`
		Attempt   int    `json:"attempt"`
		Reason    string `json:"reason"`
	}
	// CommitBody records the new primary, which must be the candidate of the attempt.
	CommitBody struct {
		Primary Primary `json:"primary"`
		Attempt int     `json:"attempt"`
	}
	// ReasonBody is why.
	ReasonBody struct {
		Reason string `json:"reason"`
	}
	// MemberBody is a member's announcement of itself.
	MemberBody struct {
		ID     MemberID `json:"id"`
		Member Member   `json:"member"`
	}
	// IDBody names a member.
	IDBody struct {
		ID MemberID `json:"id"`
	}
	// LevelBody raises the level.
	LevelBody struct {
		Level int `json:"level"`
	}
	// NodeBody says what was agreed about a node.
	NodeBody struct {
		ID   NodeID `json:"id"`
		Node Node   `json:"node"`
	}
	// PrimaryBody records a primary that was not promoted by a failover: the first one, or a
	// new incarnation of the same node.
	PrimaryBody struct {
		Primary Primary `json:"primary"`
		Reason  string  `json:"reason"`
	}
	// NoteBody replaces the user's note.
	NoteBody struct {
		Note string `json:"note"`
	}
	// PauseBody pauses or resumes.
	PauseBody struct {
		Paused bool `json:"paused"`
	}
)

// Spec is one row of the table of commands.
type Spec struct {
	// Since is the command level that the kind came with. It is not proposed while the state's
	// level is lower, as some member would not understand it.
	Since int
	// Apply changes s, which is a copy, or says why it does not.
	Apply func(s *State, index uint64, c Command) error
}

// Commands is a table of commands: what one version of the program understands.
type Commands map[Kind]Spec

// Level is the highest level in the table.
func (t Commands) Level() int {
	level := 0
	for _, spec := range t {
		level = max(level, spec.Since)
	}
	return level
}

// Errors of Apply that callers test for.
var (
	// ErrUnknownCommand: a newer version proposed it, though this member did not announce
	// that it understands it. The state was not changed and is not to be trusted any more.
	ErrUnknownCommand = errors.New("this version does not know the command")
	// ErrRefused: the state is not what the proposer thought. It is unchanged.
	ErrRefused = errors.New("refused")
)

// Builtin is the table of this version.
func Builtin() Commands {
	return Commands{
		KindBegin:   {1, decoded(applyBegin)},
		KindBar:     {1, applyBar},
		KindChoose:  {1, decoded(applyChoose)},
		KindCommit:  {1, decoded(applyCommit)},
		KindAbort:   {1, decoded(applyAbort)},
		KindMember:  {1, decoded(applyMember)},
		KindForget:  {1, decoded(applyForget)},
		KindLevel:   {1, decoded(applyLevel)},
		KindNode:    {1, decoded(applyNode)},
		KindPrimary: {1, decoded(applyPrimary)},
		KindPause:   {1, decoded(applyPause)},
		KindPrefer:  {1, decoded(applyPrefer)},
		KindOwner:   {1, decoded(applyOwner)},
		KindNote:    {1, decoded(applyNote)},
		KindBeat:    {1, func(*State, uint64, Command) error { return nil }},
	}
}

// Apply is the state after the command that consensus put at index. The same command has
// the same outcome on every member. With an error the state is the one given.
func (t Commands) Apply(s *State, index uint64, text []byte) (*State, error) {
	var c Command
	if err := strict(text, &c); err != nil {
		return s, fmt.Errorf("command %d: %w: %w", index, ErrUnknownCommand, err)
	}
	spec, ok := t[c.Kind]
	if !ok {
		return s, fmt.Errorf("command %d, %s: %w", index, c.Kind, ErrUnknownCommand)
	}
	if c.Kind == KindBeat {
		return s, nil
	}
	next := s.clone()
	err := next.admit(c)
	if err == nil {
		err = spec.Apply(next, index, c)
	}
	if err != nil && !errors.Is(err, ErrUnknownCommand) {
		err = fmt.Errorf("command %d, %s: %w: %w", index, c.Kind, ErrRefused, err)
	}
	if err != nil {
		return s, err
	}
	if c.Request != "" {
		next.Requests = last(append(next.Requests, c.Request), maxRequests)
	}
	return next, nil
}

// Propose is the command's text, if all members understand it.
func (t Commands) Propose(s *State, c Command) ([]byte, error) {
	spec, ok := t[c.Kind]
	switch {
	case !ok:
		return nil, fmt.Errorf("propose %s: %w", c.Kind, ErrUnknownCommand)
	case spec.Since > max(s.Level, 1):
		return nil, fmt.Errorf("propose %s: it needs level %d, and some members understand only %d: upgrade them first", c.Kind, spec.Since, max(s.Level, 1))
	}
	return json.Marshal(c)
}

// admit refuses a command that was made for another state.
func (s *State) admit(c Command) error {
	switch {
	case c.Request != "" && slices.Contains(s.Requests, c.Request):
		return errors.New("the request was carried out already")
	case c.Epoch != s.Epoch:
		return fmt.Errorf("it was made in epoch %d, this is epoch %d", c.Epoch, s.Epoch)
	case c.Failover != 0 && c.Failover != s.Failover.ID:
		return fmt.Errorf("it belongs to failover %d, under way is %d", c.Failover, s.Failover.ID)
	}
	return nil
}

// Make is a command with its body, for the state as it is.
func (s *State) Make(kind Kind, body any) Command {
	b, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("encode the body of %s: %v", kind, err)) // the bodies above can be encoded
	}
	c := Command{Kind: kind, Epoch: s.Epoch, Body: b}
	if s.Failover.Phase != PhaseNone {
		c.Failover = s.Failover.ID
	}
	return c
}

// decoded is an Apply whose command has a body of type B. A body with fields that this
// version does not know counts as an unknown command.
func decoded[B any](apply func(s *State, index uint64, body B) error) func(*State, uint64, Command) error {
	return func(s *State, index uint64, c Command) error {
		var body B
		if err := strict(c.Body, &body); err != nil {
			return fmt.Errorf("%s: %w: %w", c.Kind, ErrUnknownCommand, err)
		}
		return apply(s, index, body)
	}
}

// strict decodes one JSON value and nothing else.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}

// last is the end of list, at most n long.
func last[T any](list []T, n int) []T { return slices.Clone(list[max(0, len(list)-n):]) }
