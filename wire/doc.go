// Package wire moves PostgreSQL protocol messages over connections without
// decoding them: it looks at a message's type and length (PostgreSQL manual,
// "Message Formats") and hands out or forwards its bytes.
//
// A Conn belongs to one goroutine at a time. A connection that waits holds no
// buffer: it takes one from a pool when bytes have arrived and gives it back
// when they are used up, so that an idle connection costs little memory.
//
// How a Conn waits is package socket's: mostly it is a loop that serves many, and not a goroutine, that finds out that there is something to
// read (Serve, Ask).
//
// The package knows nothing of SQL, sessions or servers.
package wire
