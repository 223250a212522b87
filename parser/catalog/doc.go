// Package catalog knows what names mean: which functions and relations PostgreSQL
// is born with, and what using one means for the choice of a node. It holds no
// connection.
//
// What it knows comes from two sources. The tables in *_gen.go are what real
// servers of each version said of themselves, and what was seen when a program
// (gen) tried it all on a primary and on its standby. curated.go is what a person
// added, each with the reason why a trial cannot show it.
//
// It also says how to read the definitions of a database (Load) through whatever
// connection the caller has, and what to think of the functions of extensions and users
// by their own words; what they mean for a statement is package parser's matter.
package catalog
