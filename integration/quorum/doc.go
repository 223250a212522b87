// Package quorum tests the watchdog with real processes, each in a network namespace of its
// own. The tests make the namespaces, join them by a switch in this process, and have it cut, lose and delay. They
// need root, /dev/net/tun, and ip of iproute2.
package quorum
