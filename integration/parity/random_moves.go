package parity

// copyIn is COPY FROM STDIN with its data, good or bad, as a Query or amid extended messages. A Sync
// before the Query makes sure that it is not skipped.
func (g *generator) copyIn() {
	extended := g.r.IntN(3) == 0
	if extended {
		g.add("Close", Arg{Text: "S"}, quoted("copy"))
		g.parse("copy", "COPY copied FROM STDIN") // nobody runs it again by chance, without data
		g.bind("", "copy", 0)
		if g.r.IntN(3) == 0 {
			g.add("Describe", Arg{Text: "P"}, quoted(""))
		}
		g.add("Execute", quoted(""), Arg{Text: "0"})
	} else {
		g.add("Sync")
		g.add("Query", quoted(pick(g, []string{"ROLLBACK; COPY copied FROM STDIN", "COPY copied FROM STDIN", "COPY copied FROM STDIN; SELECT count(*) FROM copied"})))
	}
	for range g.r.IntN(3) {
		g.add("CopyData", quoted(pick(g, []string{"1\tone\n", "2\ttwo\n3\tthree\n", "4\t\\N\n", "x\tbad\n"})))
	}
	if g.r.IntN(4) == 0 {
		g.add("CopyFail", quoted("changed my mind"))
	} else {
		g.add("CopyDone")
	}
	if g.open = extended; extended {
		if g.r.IntN(2) == 0 {
			g.ordinary()
			return
		}
		g.add("Sync")
	}
	g.maybeWait()
}

// block is a transaction as applications write them: some of its statements fail, some are taken back.
func (g *generator) block() {
	if g.open {
		g.add("Sync")
	}
	g.wait()
	g.run(pick(g, []string{"BEGIN", "BEGIN", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION"}))
	for range 2 + g.r.IntN(6) {
		g.run(pick(g, blockTexts))
	}
	g.run(pick(g, []string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "END", "DISCARD ALL"}))
}

// run runs one statement, in either protocol, and mostly waits for it.
func (g *generator) run(text string) {
	if g.r.IntN(3) > 0 {
		g.add("Query", quoted(text))
	} else {
		name := pick(g, statementNames)
		if name != "" {
			g.add("Close", Arg{Text: "S"}, quoted(name))
		}
		g.parse(name, text)
		g.bind("", name, 0)
		if g.r.IntN(2) == 0 {
			g.add("Describe", Arg{Text: "P"}, quoted(""))
		}
		g.add("Execute", quoted(""), Arg{Text: "0"})
		g.add("Sync")
	}
	if g.r.IntN(100) < 85 {
		g.wait()
	}
}

// portals are read in parts, with other things done meanwhile.
func (g *generator) portals() {
	if g.r.IntN(3) > 0 {
		if g.open {
			g.add("Sync")
		}
		g.run("BEGIN")
	}
	portal, name := pick(g, portalNames), pick(g, statementNames)
	g.parse(name, pick(g, []string{"SELECT id, v FROM t ORDER BY id", "SELECT generate_series(1, 7)", "VALUES (1), (2), (3)", "SELECT 4 / (3 - g) FROM generate_series(1, 5) g",
		"UPDATE t SET v = 'p' WHERE id < 4 RETURNING id", "SELECT id FROM t WHERE id < 4 ORDER BY id FOR UPDATE", "SHOW ALL", "FETCH 5 FROM c", "DECLARE c CURSOR FOR SELECT id FROM t"}))
	g.bind(portal, name, 0)
	for range 2 + g.r.IntN(4) {
		switch n := g.r.IntN(12); {
		case n < 5:
			g.add("Execute", quoted(portal), Arg{Text: pick(g, []string{"1", "2", "3", "0"})})
		case n < 6:
			g.add("Flush")
		case n < 7:
			g.add("Sync")
			g.maybeWait()
		case n < 8:
			g.add("Close", Arg{Text: pick(g, []string{"P", "P", "S"})}, quoted(portal))
		case n < 9:
			g.add("Describe", Arg{Text: "P"}, quoted(portal))
		case n < 10:
			g.bind(pick(g, portalNames), name, 0)
		case n < 11:
			g.ordinary()
		default:
			g.add("Sync")
			g.run(pick(g, blockTexts))
		}
	}
	g.add("Sync")
	g.maybeWait()
}

// pipeline is several statements of which nobody awaits the answers, with Sync in few places, or in many.
func (g *generator) pipeline() {
	syncs := 1 + g.r.IntN(5)
	for range 3 + g.r.IntN(6) {
		name := pick(g, statementNames)
		e := pick(g, extendedTexts)
		g.parse(name, e.text)
		g.bind("", name, e.parameters)
		g.add("Execute", quoted(""), Arg{Text: "0"})
		switch n := g.r.IntN(12); {
		case n < syncs:
			g.add("Sync")
		case n == 6:
			g.add("Sync")
			g.add("Sync")
		case n == 7:
			g.add("Flush")
		case n == 8:
			g.add("Query", quoted(g.text()))
		}
	}
	g.add("Sync")
	g.maybeWait()
}

// call is a FunctionCall: abs(int4), upper(text), int4_div, or one that is not there.
func (g *generator) call() {
	switch g.r.IntN(4) {
	case 0:
		g.add("FunctionCall", Arg{Text: "1397"}, pick(g, parameterValues))
	case 1:
		g.add("FunctionCall", Arg{Text: "871"}, quoted("text"))
	case 2:
		g.add("FunctionCall", Arg{Text: "154"}, pick(g, parameterValues), pick(g, parameterValues))
	default:
		g.add("FunctionCall", Arg{Text: "1"})
	}
	g.maybeWait()
}

// other has the second connection do something while the first is silent.
func (g *generator) other() {
	if g.open {
		g.add("Sync")
	}
	g.wait()
	first := len(g.script.Steps)
	if g.r.IntN(3) > 0 {
		g.add("Query", quoted(pick(g, otherTexts)))
	} else {
		name := pick(g, statementNames)
		e := pick(g, extendedTexts[:5])
		g.add("Close", Arg{Text: "S"}, quoted(name))
		g.parse(name, e.text)
		g.bind("", name, e.parameters)
		g.add("Execute", quoted(""), Arg{Text: "0"})
		g.add("Sync")
	}
	g.add("wait")
	for i := range g.script.Steps[first:] {
		g.script.Steps[first+i].Conn = "b"
	}
}
