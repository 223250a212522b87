// Package configs holds howdah's settings: their types, their defaults and the
// strict reading of the YAML file. It imports nothing of howdah, so that every
// package may take its own section.
//
// It does not open sockets, and it does not read what the file points to: the
// rules of auth.hba and the users of auth.passwd_file are parsed by package
// auth. The one exception are values written as !file PATH or !env NAME, which
// are read here, so that secrets need not stand in the file.
//
//	file --Load--> bytes --Parse--> yaml nodes --decode--> Config --validate--> Config
//	                                    |                               |
//	                                    +--- faults, all of them -------+
//
// Everything known of a key stands in the tags of its struct field:
//
//	yaml:"name"       the key in the file
//	min:"…" max:"…"   inclusive bounds, written as in the file
//	enum:"a,b"        the only values it may have
//	secret:"yes"      never shown (Show)
//	path:"yes"        a file's path, relative to the configuration file's folder
//	reload:"no"       a change needs a restart (Changes); on a section: all of it
package configs
