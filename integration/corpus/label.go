package main

import (
	"github.com/howdah/howdah/parser"
)

// Where a statement may run, by trial.
const (
	labelPrimary = "primary"
	labelEqual   = "equal"
)

// label is what the trial of one statement showed.
type label struct {
	SQL   string `json:"sql"`
	Label string `json:"label"`
	// File is the script that held the statement.
	File string `json:"file"`
	// Why is, of a primary: "refused", "differs" or "acts".
	Why string `json:"why,omitempty"`
	// Code is the SQLSTATE of the standby's error, if it gave one.
	Code string `json:"code,omitempty"`
	// Unstable: the primary itself gives another answer each time.
	Unstable bool `json:"unstable,omitempty"`
	// Own: it calls functions that PostgreSQL is not born with.
	Own bool `json:"own,omitempty"`

	// Named is what a howdah in which the statement was about to run said of it.
	Named *named `json:"named,omitempty"`

	// StandbySaid and PrimarySaid are the beginnings of answers that differ.
	StandbySaid string `json:"standby,omitempty"`
	PrimarySaid string `json:"primary,omitempty"`
}

// opinion is whether a statement would be read from a standby, and why not.
type opinion struct {
	read   bool
	reason string
	// temporary is named.Temporary.
	temporary bool
}

// textOnly is what `howdah explain` resolves names with where there is no database to ask.
var textOnly = parser.NewEnv(parser.Env{Extensions: true})

// byText is what the parser says of the text alone.
func byText(l *label) (opinion, bool) {
	v := parser.Resolve(parser.Classify(l.SQL), textOnly)
	return opinion{read: v.Access <= parser.AccessRead, reason: v.Access.String() + ": " + v.Reason}, true
}

// byNames is what howdah said, who knew what the names mean; false if it was not asked.
func byNames(l *label) (opinion, bool) {
	if l.Named == nil {
		return opinion{}, false
	}
	return opinion{l.Named.Read, l.Named.Reason, l.Named.Temporary}, true
}
