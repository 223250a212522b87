package quorum

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lanSwitch is an Ethernet switch in this process: a TAP device in each namespace is one of its ports. It does to frames what
// networks do to them, in each direction apart, with or without a kernel that has netem.
type lanSwitch struct {
	mu     sync.Mutex
	ports  map[string]*lanPort
	byMAC  map[string]*lanPort
	faults map[direction]fault
	random *rand.Rand
}

// direction is from one port to another.
type direction struct{ from, to string }

// fault is what happens to frames in one direction. The zero value is nothing.
type fault struct {
	cut           bool
	loss          float64       // of all frames
	delay, jitter time.Duration // a frame takes delay, give or take jitter; so frames overtake each other
	drop          func(frame []byte) bool
}

// lanPort is a port, and the cable to the namespace.
type lanPort struct {
	name string
	tap  *os.File
	mac  string
	// off: the port is switched off, and the other end's link stays up. unplugged: the link is down, which the
	// other end's kernel takes its time to act on.
	off, unplugged bool
}

// dead says whether nothing passes the port.
func (p *lanPort) dead() bool { return p.off || p.unplugged }

func newSwitch(seed uint64) *lanSwitch {
	return &lanSwitch{ports: map[string]*lanPort{}, byMAC: map[string]*lanPort{}, faults: map[direction]fault{}, random: rand.New(rand.NewPCG(seed, 3))}
}

// openTap makes a TAP device of that name in the namespace that the calling thread is in.
func openTap(device string) (*os.File, string, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(device)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("make TAP device %s: %w", device, err), unix.Close(fd))
	}
	link, err := net.InterfaceByName(device)
	if err != nil {
		return nil, "", errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), device), string(link.HardwareAddr), nil
}

// plugIn makes a port whose other end is the device eth0 in the namespace that the calling thread is in.
func (s *lanSwitch) plugIn(name string) error {
	tap, mac, err := openTap("eth0")
	if err != nil {
		return err
	}
	p := &lanPort{name: name, tap: tap, mac: mac}
	s.mu.Lock()
	s.ports[name], s.byMAC[mac] = p, p
	s.mu.Unlock()
	go s.read(p) // ends with close
	return nil
}

// frameSize holds any frame of a link with the usual MTU.
const frameSize = 2048

// read passes on what comes from a port until it is closed.
func (s *lanSwitch) read(p *lanPort) {
	buf := make([]byte, frameSize)
	for {
		n, err := p.tap.Read(buf)
		if errors.Is(err, unix.EIO) || errors.Is(err, unix.EAGAIN) { // the device is down
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return
		}
		if n >= 14 {
			s.pass(p, buf[:n])
		}
	}
}

// pass brings a frame to whom it is for: everybody, or who has the hardware address.
func (s *lanSwitch) pass(from *lanPort, frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.dead() {
		return
	}
	if to, ok := s.byMAC[string(frame[:6])]; ok {
		s.deliver(from, to, frame)
		return
	}
	for _, to := range s.ports {
		if to != from {
			s.deliver(from, to, frame)
		}
	}
}

// deliver writes a frame to a port, unless a fault has it lost, or later. The switch is locked.
func (s *lanSwitch) deliver(from, to *lanPort, frame []byte) {
	f := s.faults[direction{from.name, to.name}]
	if to.dead() || f.cut || f.loss > 0 && s.random.Float64() < f.loss || f.drop != nil && f.drop(frame) {
		return
	}
	if f.delay == 0 && f.jitter == 0 {
		to.write(frame)
		return
	}
	later := append([]byte(nil), frame...)
	time.AfterFunc(max(0, f.delay+time.Duration((2*s.random.Float64()-1)*float64(f.jitter))), func() {
		s.mu.Lock()
		cut := s.faults[direction{from.name, to.name}].cut || to.dead()
		s.mu.Unlock()
		if !cut {
			to.write(later)
		}
	})
}

// write gives a frame to the kernel. A device that is down takes none, as a cable that is out does not.
func (p *lanPort) write(frame []byte) { p.tap.Write(frame) } //nolint:errcheck // see above

// set changes what happens in one direction.
func (s *lanSwitch) set(from, to string, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[direction{from, to}] = f
}

// heal ends the faults of a port in all directions.
func (s *lanSwitch) heal(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.faults {
		if d.from == name || d.to == name {
			delete(s.faults, d)
		}
	}
}

// turn switches a port off or on.
func (s *lanSwitch) turn(name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports[name].off = !on
}

// carrier takes the cable out at the namespace's end, or puts it in.
func (s *lanSwitch) carrier(name string, on bool) error {
	s.mu.Lock()
	p := s.ports[name]
	p.unplugged = !on
	s.mu.Unlock()
	value := 0
	if on {
		value = 1
	}
	raw, err := p.tap.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.IoctlSetPointerInt(int(fd), unix.TUNSETCARRIER, value) })
	return errors.Join(err, failed)
}

// close ends all ports; the devices vanish.
func (s *lanSwitch) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, p := range s.ports {
		errs = append(errs, p.tap.Close())
	}
	return errors.Join(errs...)
}

// What the switch does to frames, by a ping between two hosts.
func TestSwitch(t *testing.T) {
	n := newNetwork(t, "p1", "p2")
	a, b := n.hosts[0], n.hosts[1]
	within := func(limit time.Duration) error {
		return n.inside(a.ns, func() error {
			conn, err := net.DialTimeout("tcp4", b.address+":1", limit)
			if err == nil {
				conn.Close()
			}
			if errors.Is(err, unix.ECONNREFUSED) { // it is there, and nobody listens
				return nil
			}
			return err
		})
	}
	pings := func() error { return within(500 * time.Millisecond) }
	if err := within(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func(){
		"one way is cut":         func() { a.lose(b) },
		"the other way is cut":   func() { b.lose(a) },
		"the port is off":        a.cut,
		"the cable is out":       b.unplug,
		"all is lost":            func() { n.lan.set(a.name, b.name, fault{loss: 1}) },
		"all is dropped":         func() { n.lan.set(b.name, a.name, fault{drop: func([]byte) bool { return true }}) },
		"the answer is too late": func() { n.lan.set(b.name, a.name, fault{delay: time.Second}) },
	} {
		do()
		if err := pings(); err == nil {
			t.Errorf("%s, and it is reached", what)
		}
		a.heal()
		a.mend()
		b.plug()
		n.eventually(func() string {
			if err := pings(); err != nil {
				return fmt.Sprintf("it is not reached after %s: %v", what, err)
			}
			return ""
		})
	}
	n.lan.set(a.name, b.name, fault{delay: 100 * time.Millisecond})
	began := time.Now()
	if err := within(20 * time.Second); err != nil || time.Since(began) < 90*time.Millisecond {
		t.Errorf("it took %s: %v", time.Since(began), err)
	}
}
