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
// What it cannot see in the text, and leaves to who knows the database: views,
// rules, user-defined operators, casts and types that call functions, user
// functions that hide or overload built-in ones, temporary and unlogged tables
// named without pg_temp. It reads the text as UTF-8 with
// standard_conforming_strings on (see Verdict.Backslash).
package parser
