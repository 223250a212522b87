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

	// StandbySaid and PrimarySaid are the beginnings of answers that differ.
	StandbySaid string `json:"standby,omitempty"`
	PrimarySaid string `json:"primary,omitempty"`
}

// read is whether the parser would let a standby answer.
func read(v *parser.Verdict) bool { return v.Access <= parser.AccessRead }

// isWrong is whether the statement would be sent to a standby that cannot serve it.
func (l *label) isWrong(v *parser.Verdict) bool { return l.Label == labelPrimary && read(v) }
