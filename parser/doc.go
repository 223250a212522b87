// Package parser turns SQL text into verdicts: which statements it holds, what
// each does, and whether a hot standby may answer it. It decides from the text
// and built-in knowledge alone: no socket, no clock. What it does not
// understand is a write.
//
//	text ──exact cache──▶ verdict
//	  │ miss
//	  ▼ our lexer: literals replaced, white space and comments gone
//	skeleton ──skeleton cache──▶ verdict
//	  │ miss
//	  ▼ pg_query: PostgreSQL's own grammar
//	tree ──walk──▶ verdict
//
// Two texts with one skeleton have one verdict. Where a verdict depends on a
// literal, the skeleton cache remembers just that, and the exact text is asked for.
//
// What a name means, the text does not say: views, functions, operators, casts of
// users, unlogged tables. The verdict keeps the names (Uses), and Resolve looks them up
// in an Env: the operator's Rules, a database's Knowledge, a search path. Knowledge is
// made from the facts that package catalog reads through any Querier:
//
//	verdict + Env ──remembered?──▶ verdict as it is there
//	           │ else: operator's lists > knowledge > built-in functions > unknown
//
// It reads the text as UTF-8 with standard_conforming_strings on (see Verdict.Backslash).
package parser
