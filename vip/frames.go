package vip

import (
	"errors"
	"net"
	"net/netip"
)

// frames keeps a wire open on the interface as it is now, and hears claims on it. Used by
// one goroutine; claims come on others.
type frames struct {
	v4, v6  bool // of which families there are addresses
	claimed func(claim)

	wire  *wire
	ended chan struct{} // closed when the wire's listener has returned
	err   error         // why there is no wire
}

func newFrames(addresses []netip.Prefix, claimed func(claim)) *frames {
	f := &frames{claimed: claimed, err: errors.New("the interface does not exist")}
	for _, p := range addresses {
		f.v4 = f.v4 || p.Addr().Is4()
		f.v6 = f.v6 || p.Addr().Is6()
	}
	return f
}

// follow opens the wire anew if the interface is another one than before.
func (f *frames) follow(index int, mac net.HardwareAddr) {
	if f.wire != nil && f.wire.index == index && f.wire.mac.String() == mac.String() {
		return
	}
	f.close()
	if index == 0 {
		f.err = errors.New("the interface does not exist")
		return
	}
	w, err := openWire(index, mac, f.v4, f.v6)
	if err != nil {
		f.err = privilege(err)
		return
	}
	ended := make(chan struct{})
	f.wire, f.ended, f.err = w, ended, nil
	go func() { // close waits for it
		defer close(ended)
		w.listen(f.claimed)
	}()
}

func (f *frames) close() {
	if f.wire != nil {
		f.wire.close()
		<-f.ended
		f.wire = nil
	}
}

// deaf says why nothing can be sent or heard; empty if it can.
func (f *frames) deaf() string {
	if f.wire == nil {
		return f.err.Error()
	}
	return ""
}

func (f *frames) announce(addr netip.Addr) error {
	if f.wire == nil {
		return f.err
	}
	for _, frame := range announceFrames(addr, f.wire.mac) {
		if err := f.wire.send(frame); err != nil {
			return err
		}
	}
	return nil
}

func (f *frames) probe(addr netip.Addr) error {
	if f.wire == nil {
		return f.err
	}
	return f.wire.send(probeFrame(addr, f.wire.mac))
}
