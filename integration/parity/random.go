package parity

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Random makes a script of about steps steps from a seed: any message in any
// order, as no driver would send them, and now and then what drivers do send. Its
// answers depend on nothing but the script and the fixture. One in three has a second
// connection, which speaks while the first is silent.
func Random(seed uint64, steps int) *Script {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0)), script: &Script{Name: fmt.Sprintf("seed %d", seed)}}
	g.two = g.r.IntN(3) == 0
	for len(g.script.Steps) < steps {
		g.step()
	}
	// The goodbye that follows is read after all before it; this makes the server answer all.
	g.add("Sync")
	return g.script
}

// Text is the script as a .proto file says it.
func (s *Script) Text() string {
	var b strings.Builder
	for _, step := range s.Steps {
		if step.Conn != "" {
			b.WriteString(step.Conn + "> ")
		}
		b.WriteString(step.Command)
		for _, arg := range step.Args {
			switch {
			case arg.Null:
				b.WriteString(" NULL")
			case arg.Quoted:
				b.WriteString(" " + strconv.Quote(arg.Text))
			default:
				b.WriteString(" " + arg.Text)
			}
		}
		for key, value := range step.Options {
			b.WriteString(" " + key + "=" + value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// generator holds what the script has so far.
type generator struct {
	r      *rand.Rand
	script *Script
	// open: extended messages were sent after the last Sync.
	open bool
	// uncounted: nobody can tell how many answers will come, because a Query amid
	// extended messages is skipped if one of these failed.
	uncounted bool
	settled   int // how often such answers were awaited
	two       bool
}

func (g *generator) add(command string, args ...Arg) {
	switch command {
	case "Query", "FunctionCall":
		g.uncounted = g.uncounted || g.open
	case "wait":
	default:
		g.open = command != "Sync"
	}
	g.script.Steps = append(g.script.Steps, Step{Line: len(g.script.Steps) + 1, Command: command, Args: args, Options: map[string]string{}})
}

func quoted(text string) Arg { return Arg{Text: text, Quoted: true} }

func pick[T any](g *generator, from []T) T { return from[g.r.IntN(len(from))] }

// step adds one thing to do. The numbers are shares of a hundred.
func (g *generator) step() {
	switch n := g.r.IntN(100); {
	case n < 24:
		if g.open && g.r.IntN(10) > 0 {
			g.add("Sync")
		}
		g.query()
	case n < 28:
		g.copyIn()
	case n < 46:
		g.ordinary()
	case n < 62:
		g.message()
	case n < 69:
		g.reads()
	case n < 77:
		g.block()
	case n < 83:
		g.portals()
	case n < 88:
		g.pipeline()
	case n < 94:
		if g.two {
			g.other()
		}
	default:
		g.add("Sync")
		g.maybeWait()
	}
}

// query is a simple Query, of one text or of several.
func (g *generator) query() {
	text := g.text()
	for g.r.IntN(8) == 0 {
		text += "; " + g.text()
	}
	g.add("Query", quoted(text))
	g.maybeWait()
}

func (g *generator) text() string {
	for {
		text := pick(g, simpleTexts)
		// With shared connections these may be told that another session has been there.
		if !g.two || !strings.Contains(text, "currval") && !strings.Contains(text, "lastval") {
			return text
		}
	}
}

// maybeWait waits for all answers, mostly: what is not awaited is a pipeline.
func (g *generator) maybeWait() {
	if g.r.IntN(100) < 70 {
		g.wait()
	}
}

// wait waits for all answers.
func (g *generator) wait() {
	if !g.uncounted {
		g.add("wait")
		return
	}
	g.add("Sync")
	g.settled++
	g.add("settle", Arg{Text: strconv.Itoa(g.settled)})
	g.open, g.uncounted = false, false
}

// ordinary is what drivers do: Parse, Bind, Describe, Execute, Sync.
func (g *generator) ordinary() {
	name := pick(g, statementNames)
	e := pick(g, extendedTexts)
	if g.r.IntN(3) > 0 {
		g.parse(name, e.text)
		if g.r.IntN(3) == 0 {
			g.add("Describe", Arg{Text: "S"}, quoted(name))
			if g.r.IntN(2) == 0 {
				g.add("Flush")
			}
		}
	}
	for range 1 + g.r.IntN(2) {
		g.bind("", name, e.parameters)
		if g.r.IntN(2) == 0 {
			g.add("Describe", Arg{Text: "P"}, quoted(""))
		}
		g.add("Execute", quoted(""), Arg{Text: "0"})
	}
	g.add("Sync")
	g.maybeWait()
}

// reads is what most applications do most of the time: one read after the other, each when the one before is answered.
func (g *generator) reads() {
	if g.open {
		g.add("Sync")
	}
	simple, name := g.r.IntN(2) == 0, pick(g, statementNames)
	for range 3 + g.r.IntN(4) {
		if simple != (g.r.IntN(8) == 0) {
			g.add("Query", quoted(pick(g, plainTexts)))
		} else {
			e := pick(g, extendedTexts[:4])
			if name == "" && g.r.IntN(4) > 0 {
				g.parse("", e.text)
			}
			g.bind("", name, e.parameters)
			if g.r.IntN(4) > 0 {
				g.add("Describe", Arg{Text: "P"}, quoted(""))
			}
			g.add("Execute", quoted(""), Arg{Text: "0"})
			g.add("Sync")
		}
		if g.r.IntN(100) < 90 {
			g.wait()
		}
	}
}

func (g *generator) bind(portal, name string, parameters int) {
	args := []Arg{quoted(portal), quoted(name)}
	for range parameters {
		args = append(args, pick(g, parameterValues))
	}
	g.add("Bind", args...)
	if g.r.IntN(8) == 0 {
		options := g.script.Steps[len(g.script.Steps)-1].Options
		options["results"] = pick(g, []string{"[0]", "[1]", "[1,0]"})
	}
}

// parse makes a statement, now and then with parameter types that may be wrong.
func (g *generator) parse(name, text string) {
	if g.r.IntN(10) == 0 {
		g.add("Parse", quoted(name), quoted(text), Arg{Text: pick(g, []string{"[23]", "[25]", "[0]", "[23,25]"})})
		return
	}
	g.add("Parse", quoted(name), quoted(text))
}

// message is any one message of the extended protocol.
func (g *generator) message() {
	name, portal := pick(g, statementNames), pick(g, portalNames)
	switch g.r.IntN(9) {
	case 8:
		g.call()
	case 0, 1:
		g.parse(name, pick(g, extendedTexts).text)
	case 2, 3:
		g.bind(portal, name, g.r.IntN(2))
	case 4:
		g.add("Execute", quoted(portal), Arg{Text: pick(g, []string{"0", "1", "2"})})
	case 5:
		if g.r.IntN(2) == 0 {
			g.add("Describe", Arg{Text: "S"}, quoted(name))
		} else {
			g.add("Describe", Arg{Text: "P"}, quoted(portal))
		}
	case 6:
		if g.r.IntN(2) == 0 {
			g.add("Close", Arg{Text: "S"}, quoted(name))
		} else {
			g.add("Close", Arg{Text: "P"}, quoted(portal))
		}
	case 7:
		g.add("Flush")
	}
}
