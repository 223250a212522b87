// Package quorum tests the watchdog with real processes, each in a network namespace of its
// own. The tests make the namespaces, join them by a bridge in one more, and cut the links. They
// need root, and ip of iproute2.
package quorum
