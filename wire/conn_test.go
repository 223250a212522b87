package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/howdah/howdah/wire"
)

// pair returns the two ends of a loopback TCP connection.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan net.Conn)
	go func() {
		c, _ := l.Accept()
		done <- c
	}()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b = <-done
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestNextReturnsWholeMessages(t *testing.T) {
	for name, plain := range map[string]bool{"socket": true, "pipe": false} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			if plain {
				a, b = pair(t)
			}
			big := bytes.Repeat([]byte("x"), 300_000)
			go func() {
				var out []byte
				out = wire.AppendQuery(out, "SELECT 1")
				out = wire.AppendMessage(out, wire.CopyData, string(big))
				out = wire.AppendMessage(out, wire.Sync)
				for i := 0; i < len(out); i += 1000 { // in pieces that cut headers and bodies
					a.Write(out[i:min(i+1000, len(out))])
				}
				a.Close()
			}()
			c := wire.NewConn(b)
			for _, want := range []struct {
				typ  byte
				size int
			}{{wire.Query, 14}, {wire.CopyData, 300_005}, {wire.Sync, 5}} {
				typ, msg, err := c.Next(1 << 20)
				if err != nil || typ != want.typ || len(msg) != want.size {
					t.Fatalf("got %q of %d bytes, error %v; want %q of %d", typ, len(msg), err, want.typ, want.size)
				}
			}
			if _, _, err := c.Next(100); !errors.Is(err, io.EOF) {
				t.Fatalf("at the end: %v, want EOF", err)
			}
		})
	}
}

func TestRun(t *testing.T) {
	row := wire.AppendMessage(nil, wire.DataRow, "\x00\x00")
	for b, want := range map[string]int{
		"":                                0,
		"D":                               0,
		string(row):                       len(row),
		string(row) + string(row) + "Z":   2 * len(row),
		string(row) + string(row[:6]):     len(row),
		string(row[:5]):                   0,
		"D\x00\x00\x00\x03":               0, // no message is so short
		"D\x00\x00\x00\x04":               5,
		"D\xff\xff\xff\xff" + string(row): 0,
		"C" + string(row):                 0,
	} {
		if got := wire.Run([]byte(b), wire.DataRow); got != want {
			t.Errorf("%q: got %d, want %d", b, got, want)
		}
	}
}

func TestNextRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []byte
		want error
	}{
		{"length below four", []byte{'Q', 0, 0, 0, 3, 0}, wire.ErrBadLength},
		{"negative length", []byte{'Q', 0xff, 0xff, 0xff, 0xff, 0}, wire.ErrBadLength},
		{"over the limit", []byte{'Q', 0, 0, 1, 0, 0}, wire.ErrTooLong},
		{"cut in the header", []byte{'Q', 0}, io.ErrUnexpectedEOF},
		{"cut in the body", []byte{'Q', 0, 0, 0, 9, 'x'}, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := pair(t)
			a.Write(tc.in)
			a.Close()
			if _, _, err := wire.NewConn(b).Next(100); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestAlive(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(b)
	if err := c.Alive(); err != nil {
		t.Fatalf("idle connection: %v", err)
	}
	a.Close()
	// The end of the stream takes a moment to arrive even on loopback.
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if err := c.Fill(); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v, want EOF", err)
	}
	if err := c.Alive(); !errors.Is(err, wire.ErrDead) {
		t.Fatalf("closed connection: got %v, want ErrDead", err)
	}
}

// Both ends first write more than the sockets hold, and read only then: only
// an end that reads while it is blocked in writing gets through.
func TestWriteDuplexReadsWhileBlocked(t *testing.T) {
	a, b := pair(t)
	const size = 16 << 20
	done := make(chan error, 1)
	go func() {
		if _, err := a.Write(make([]byte, size)); err != nil {
			done <- err
			return
		}
		_, err := io.CopyN(io.Discard, a, size)
		done <- err
	}()
	c := wire.NewConn(b)
	got := 0
	drain := func() error {
		ok, err := c.TryFill()
		if ok {
			got += len(c.Buffered())
			c.Discard(len(c.Buffered()))
		}
		return err
	}
	if err := c.WriteDuplex(make([]byte, size), drain); err != nil {
		t.Fatal(err)
	}
	for got < size {
		if err := c.Fill(); err != nil {
			t.Fatal(err)
		}
		got += len(c.Buffered())
		c.Discard(len(c.Buffered()))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestRelayAllocatesNothing(t *testing.T) {
	a, b := pair(t)
	c, d := wire.NewConn(a), wire.NewConn(b)
	msg := wire.AppendQuery(nil, "SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	once := func() {
		if err := c.Write(msg); err != nil {
			t.Fatal(err)
		}
		if err := d.Need(len(msg)); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(d.Buffered()); err != nil {
			t.Fatal(err)
		}
		d.Discard(len(msg))
		if _, _, err := c.Next(1000); err != nil {
			t.Fatal(err)
		}
	}
	once()
	if n := testing.AllocsPerRun(1000, once); n > 0.1 {
		t.Fatalf("%v allocations per message there and back, want 0", n)
	}
}

func BenchmarkRelay(b *testing.B) {
	x, y := pair(b)
	c, d := wire.NewConn(x), wire.NewConn(y)
	msg := wire.AppendQuery(nil, "SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	b.ReportAllocs()
	for b.Loop() {
		c.Write(msg)
		d.Need(len(msg))
		d.Write(d.Buffered())
		d.Discard(len(msg))
		c.Next(1000)
	}
}

func FuzzNext(f *testing.F) {
	f.Add(wire.AppendQuery(nil, "SELECT 1"))
	f.Add([]byte{'Q', 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{'Q', 0, 0, 0, 3})
	f.Fuzz(func(t *testing.T, in []byte) {
		a, b := net.Pipe()
		go func() { a.Write(in); a.Close() }()
		c := wire.NewConn(b)
		total := 0
		for {
			_, msg, err := c.Next(1 << 16)
			if err != nil {
				break
			}
			if len(msg) < wire.HeaderSize || len(msg) > 1<<16 {
				t.Fatalf("message of %d bytes", len(msg))
			}
			total += len(msg)
		}
		b.Close()
		if total > len(in) {
			t.Fatalf("%d bytes of messages out of %d", total, len(in))
		}
	})
}

func FuzzErrorField(f *testing.F) {
	f.Add([]byte("SERROR\x00C22012\x00Mdivision by zero\x00\x00"), byte('C'))
	f.Add([]byte{}, byte('C'))
	f.Fuzz(func(t *testing.T, body []byte, field byte) {
		if v := wire.ErrorField(body, field); len(v) > len(body) {
			t.Fatal("field longer than the message")
		}
	})
}

// What comes unasked is heard of without a look.
func TestHeard(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(a)
	t.Cleanup(func() { c.Close() })
	if c.Heard() {
		t.Error("heard of nothing")
	}
	heard := func(what string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !c.Heard(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is not heard of", what)
			}
		}
	}
	b.Write([]byte("x"))
	heard("a byte")
	if ok, err := c.TryFill(); !ok || err != nil || len(c.Buffered()) != 1 {
		t.Errorf("%q is there: %v", c.Buffered(), err)
	}
	c.Discard(1)
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if err := c.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) || c.Heard() {
		t.Errorf("after a wait in vain: %v, heard %t", err, c.Heard())
	}
	b.Close()
	heard("the end")
}
