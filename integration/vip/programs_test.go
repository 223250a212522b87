package vip_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// program is a helper that runs on a host until the test ends.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

func (h *host) startProgram(role string, args ...string) *program {
	h.t.Helper()
	p := &program{t: h.t, cmd: h.command(self(h.t), args...), lines: make(chan string, 10_000)}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			p.lines <- in.Text()
		}
	}()
	h.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

// expect waits for a line that begins so.
func (p *program) expect(prefix string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case l, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended before it said %q", prefix)
			}
			if strings.HasPrefix(l, prefix) {
				return l
			}
		case <-timeout:
			p.t.Fatalf("the program did not say %q", prefix)
		}
	}
}

// playServer accepts on an address that the host may not have yet, and never answers.
func playServer(addr string) error {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	l, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for open := []net.Conn{}; ; { // one that nobody refers to is closed by the garbage collector
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		open = append(open, conn)
	}
}

// playClients connects a number of clients that wait for an answer for ever, and says how
// each ended.
func playClients(addr, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	ended := make(chan error)
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		go func() {
			_, err := conn.Read(make([]byte, 1))
			ended <- err
		}()
	}
	fmt.Println("connected")
	for range n {
		fmt.Println("ended:", <-ended)
	}
	return nil
}

// playListener prints the ARP packets and neighbour messages on eth0.
func playListener(device string) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return err
	}
	link, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	everything := uint16(unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything<<8 | everything>>8, Ifindex: link.Index}); err != nil {
		return err
	}
	fmt.Println("listening")
	buf := make([]byte, 2048)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return err
		}
		switch b := buf[:n]; {
		case n >= 42 && b[12] == 0x08 && b[13] == 0x06:
			fmt.Printf("arp %d %s %s\n", b[21], net.HardwareAddr(b[22:28]), net.IP(b[28:32]))
		case n >= 78 && b[12] == 0x86 && b[13] == 0xdd && b[20] == 58 && (b[54] == 135 || b[54] == 136):
			fmt.Printf("nd %d %s %s\n", b[54], net.HardwareAddr(b[6:12]), net.IP(b[62:78]))
		}
	}
}
