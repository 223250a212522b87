// Package socket has connections that wait by loops of its own instead of by package net: what is to be done when one becomes readable
// can be done there and then, on the loop's stack, without waking a goroutine for it; and accepting and closing do
// not wake the runtime's monitor thread. Otherwise a [Conn] is what package net's connections are: a [net.Conn] and [syscall.Conn].
//
// A loop is a goroutine that waits for an epoll instance of many sockets (epoll(7), edge-triggered), which is heard of by
// Go's poller: no thread is held by it, and the scheduler stays the only one there is. A loop that is busy waits by itself, and shares Go's processor
// with others in ticks.
package socket
