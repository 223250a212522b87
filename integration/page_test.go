package integration_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/browser"
)

// pageFile is the picture in the docs; HOWDAH_SCREENSHOT=1 takes it anew.
const pageFile = "../docs/page.png"

// load has a session read and write until the test ends.
func load(t *testing.T, d *doors, pause time.Duration) {
	t.Helper()
	conn := connect(t, d.server)
	_, err := conn.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS orders (id int, name text)")
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			conn.Exec(ctx, fmt.Sprintf("SELECT count(*) FROM orders WHERE id = %d", i)) //nolint:errcheck // only load
			if i%5 == 0 {
				conn.Exec(ctx, "INSERT INTO orders VALUES (1, 'hush')") //nolint:errcheck // only load
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}

// The page works in a real browser: it shows what is true, light and dark, wide and narrow, nothing sticks
// out, and who may changes things by it.
func TestPage(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	for _, pause := range []time.Duration{5 * time.Millisecond, 12 * time.Millisecond, 30 * time.Millisecond} {
		load(t, d, pause)
	}
	listener := connect(t, d.server)
	_, err := listener.Exec(t.Context(), "LISTEN news")
	must(t, err)
	p := browser.Open(t)
	p.Login("admin", "open sesame")
	p.Look(1200, 1400, false, false)
	p.Go(fmt.Sprintf("http://127.0.0.1:%d/", d.httpPort))
	p.Await(`document.body.dataset.ready === "yes"`)
	for id, want := range map[string]string{"summary": "serving", "facts": "3 / 3", "topology": "node0", "watchdog": "this howdah has no watchdog", "events": "primary is node0", "failover": "mode",
		"pools": "postgres", "sessions": "postgres", "pins": "LISTEN", "latency": "write", "decisions": "write", "user": "admin"} {
		p.Await(fmt.Sprintf(`document.getElementById(%q).innerText.includes(%q)`, id, want))
	}
	p.Await(`document.getElementById("examples").innerText.includes("INSERT INTO orders")`)
	if text := p.Eval("document.documentElement.outerHTML"); strings.Contains(text, "hush") {
		t.Error("the page shows literals")
	}
	if got := p.Eval(`document.querySelector('#topology [data-node=node0] .role').innerText`); got != "primary" {
		t.Errorf("node0 is %q", got)
	}
	p.Await(`[...document.querySelectorAll("#topology .rates .reads")].some(e => parseInt(e.innerText) > 0)`)
	p.Await(`parseInt(document.querySelector("#topology [data-node=node0] .rates .writes").innerText) > 0`)

	// A server that goes away is seen, with the reason, and so is its return.
	must(t, d.cluster.StopNode(2))
	p.Await(`document.querySelector("#topology [data-node=node2]").classList.contains("down")`)
	p.Await(`document.querySelector("#topology [data-node=node2] .why").innerText.length > 5`)
	p.Await(`document.querySelector("#events li.bad").innerText.includes("node2")`)
	p.Await(`document.getElementById("alarm").innerText.startsWith("node2 is ") && document.title.includes("2/3 up")`)
	must(t, d.cluster.StartNode(t.Context(), 2))
	p.Await(`document.querySelector("#topology [data-node=node2]").classList.contains("up")`)
	p.Await(`document.getElementById("alarm").hidden && document.title === "howdah · 3/3 up"`)
	p.Await(`document.querySelector("#topology [data-node=node2]").innerText.includes("replication streaming async")`)
	p.Await(`document.getElementById("decisions").innerText.includes("it writes, locks, or needs what only the primary has")`)

	// Actions: after a question, and with an answer.
	answer := func(value string) {
		t.Helper()
		p.Await(`document.getElementById("ask").open`)
		p.Eval(`document.querySelector('#ask button[value=` + value + `]').click()`)
	}
	p.Eval(`document.querySelector('#commands button[data-command="log-level"]').click()`)
	answer("no")
	p.Eval(`document.querySelector('#commands button[data-command="reload"]').click()`)
	answer("yes")
	p.Await(`document.getElementById("result").innerText === "reload: reloaded"`)
	if strings.Contains(d.server.Log(), "command=log-level") {
		t.Error("what was answered with no was done")
	}
	p.Eval(fmt.Sprintf(`[...document.querySelectorAll("#sessions tr")].find(r => r.firstChild.innerText === "%d").querySelector("button").click()`, listener.PgConn().PID()))
	answer("yes")
	p.Await(`!document.getElementById("pins").innerText.includes("LISTEN")`)

	if os.Getenv("HOWDAH_SCREENSHOT") != "" {
		time.Sleep(45 * time.Second) // so that there are curves to see
	}
	if n := p.Eval(`document.querySelectorAll("#topology [data-node=node1] button[data-command=switchover]").length`); n != "1" {
		t.Errorf("%s buttons for a switchover", n)
	}
	looks(t, p)
	if faults := p.Faults(); len(faults) > 0 {
		t.Errorf("the console has %s", strings.Join(faults, "\n"))
	}
	// Who may only look is offered nothing.
	p.Login("viewer", "look")
	p.Go(fmt.Sprintf("http://127.0.0.1:%d/", d.httpPort))
	p.Await(`document.body.dataset.ready === "yes" && document.getElementById("user").innerText.includes("may look only")`)
	if n := p.Eval(`document.querySelectorAll("main button").length`); n != "0" || p.Eval(`document.getElementById("actions").hidden`) != "true" {
		t.Errorf("a reader is offered %s buttons", n)
	}
}

// looks takes pictures, wide and narrow, light and dark, and holds that nothing sticks out.
func looks(t *testing.T, p *browser.Page) {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("HOWDAH_PICTURES"); keep != "" {
		dir = keep
	}
	brightness := func(data []byte) float64 {
		t.Helper()
		img, err := png.Decode(bytes.NewReader(data))
		must(t, err)
		sum, n := 0.0, 0
		for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += 7 {
			for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += 7 {
				r, g, b, _ := img.At(x, y).RGBA()
				sum, n = sum+float64(r+g+b)/3/0xffff, n+1
			}
		}
		return sum / float64(n)
	}
	for _, look := range []struct {
		name          string
		width, height int
		phone, dark   bool
	}{{"wide", 1200, 1400, false, false}, {"wide-dark", 1200, 1400, false, true}, {"phone", 390, 844, true, false}, {"phone-dark", 390, 844, true, true}} {
		p.Look(look.width, look.height, look.phone, look.dark)
		p.Await(fmt.Sprintf("innerWidth === %d && matchMedia('(prefers-color-scheme: dark)').matches === %v", look.width, look.dark))
		if got := p.Eval("document.documentElement.scrollWidth - innerWidth"); got != "0" {
			t.Errorf("%s: the page is %s px too wide", look.name, got)
		}
		if got := p.Eval(`[...document.querySelectorAll("section")].filter(s => s.getBoundingClientRect().right > innerWidth).map(s => s.innerText.slice(0, 30)).join()`); got != "" {
			t.Errorf("%s: sticks out: %s", look.name, got)
		}
		data := p.Picture(look.phone)
		if b := brightness(data); (b < 0.4) != look.dark {
			t.Errorf("%s: brightness %.2f", look.name, b)
		}
		must(t, os.WriteFile(filepath.Join(dir, look.name+".png"), data, 0o644))
		if look.name == "wide" && os.Getenv("HOWDAH_SCREENSHOT") != "" {
			must(t, os.WriteFile(pageFile, data, 0o644))
		}
	}
}
