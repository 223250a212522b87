// Package vip_test holds a floating address between hosts: network namespaces with a
// veth pair each to a bridge, real processes, real kernels' neighbour tables. It needs
// root, and fails without.
//
// A holder is this test's binary started in a namespace: it runs a vip.Manager, obeys
// lines on its standard input and prints States on its standard output (holder_test.go). Its
// guardian is the same binary again, as howdah's is.
package vip_test
