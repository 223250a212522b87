package parser

// statements reads PL/pgSQL statements up to a word that ends them for whoever asked.
func (r *plReader) statements() {
	if r.depth++; r.depth > maxPLNesting {
		r.failed = true
	}
	for !r.failed && !r.ends() {
		r.statement()
	}
	r.depth--
}

// assigns is whether the statement that begins here gives a variable a value. Of words that
// are not reserved a variable's name wins before these.
func (r *plReader) assigns() bool {
	t, next := r.now(), r.next()
	if t.kind == plNumber {
		return true // $1
	}
	if t.kind == plWord && plReserved[t.text] {
		return false
	}
	if !t.name() {
		return false
	}
	return next.is(":=") || next.is("=") || next.is("[") || next.is(".")
}

// plReserved are the words that PL/pgSQL takes for no name.
var plReserved = makeSet(`all begin by case declare else end execute for foreach from if in into loop not null or
	strict then to using when while`)

// ends is whether a word comes that belongs to what is around the statements.
func (r *plReader) ends() bool {
	t := r.now()
	if t.kind == plEnd {
		return true
	}
	if t.kind != plWord || r.assigns() {
		return false
	}
	switch t.text {
	case "end", "else", "elsif", "elseif", "when", "exception":
		return true
	}
	return false
}

func (r *plReader) statement() {
	r.label()
	if r.assigns() {
		r.assignment()
		return
	}
	t := r.now()
	if t.kind != plWord {
		r.command()
		r.need(r.symbol(";"))
		return
	}
	switch t.text {
	case "declare", "begin":
		r.block()
	case "if":
		r.branches()
		return
	case "case":
		r.cases()
		return
	case "loop", "while", "for", "foreach":
		r.loop()
		return
	default:
		r.simple(t.text)
	}
	r.need(r.symbol(";"))
}

// assignment is target := expression. Subscripts in the target are expressions too.
func (r *plReader) assignment() {
	target := r.until(":=", "=")
	r.emit("SELECT ", target)
	r.step()
	r.expression(";")
	r.need(r.symbol(";"))
}

// simple reads the statements that hold no others, up to the semicolon.
func (r *plReader) simple(word string) {
	switch word {
	case "null":
		r.step()
	case "exit", "continue":
		r.step()
		r.until(";", "when")
		if r.word("when") {
			r.expression(";")
		}
	case "return":
		r.step()
		r.result()
	case "raise":
		r.step()
		r.raise()
	case "assert":
		r.step()
		r.expression(";")
	case "perform":
		r.step()
		text := r.until(";")
		r.need(text != "")
		r.emit("SELECT ", text)
	case "execute":
		r.step()
		r.dynamic(";")
	case "get":
		r.step()
		r.need(r.word("current", "stacked", "diagnostics"))
		r.until(";")
	case "open":
		r.step()
		r.open()
	case "do": // its body would have to be read too, and what is in that
		r.failed = true
	case "fetch", "move", "close":
		r.until(";")
		r.emit("CLOSE a_cursor")
	default:
		r.command()
	}
}

// result is RETURN [expression], RETURN NEXT [expression], RETURN QUERY query.
func (r *plReader) result() {
	switch {
	case r.word("query"):
		if r.word("execute") {
			r.dynamic(";")
		} else {
			r.query(";")
		}
		return
	case r.word("next"):
	}
	if !r.now().is(";") {
		r.expression(";")
	}
}

// raise is RAISE [level] ['format' [, expressions]] [USING option = expression, …], or with a
// condition's name in the place of the format.
func (r *plReader) raise() {
	for !r.failed {
		switch t := r.now(); {
		case t.is(";"):
			return
		case t.is(","):
			r.step()
			r.expression(";", "using", ",")
		case r.word("using"):
			r.raiseOptions()
			return
		default:
			r.step() // level, condition, SQLSTATE, the format
		}
	}
}

// raiseOptions are those of RAISE … USING.
func (r *plReader) raiseOptions() {
	for !r.failed {
		r.need(r.now().name())
		r.step()
		r.need(r.symbol("=") || r.symbol(":="))
		r.expression(";", ",")
		if !r.symbol(",") {
			return
		}
	}
}

// open is OPEN cursor [(arguments)], OPEN cursor FOR query or FOR EXECUTE text.
func (r *plReader) open() {
	r.emit("DECLARE a_cursor CURSOR FOR SELECT 1")
	r.identifier()
	r.arguments()
	r.word("no")
	r.word("scroll")
	if r.word("for") {
		if r.word("execute") {
			r.dynamic(";")
		} else {
			r.query(";")
		}
	}
}

// arguments are those of a cursor, if there are any: expressions, maybe with names.
func (r *plReader) arguments() {
	if !r.symbol("(") {
		return
	}
	for !r.failed {
		if next := r.next(); r.now().name() && (next.is(":=") || next.is("=>")) {
			r.step()
			r.step()
		}
		r.expression(",", ")")
		if r.symbol(")") {
			return
		}
		r.step()
	}
}

// branches is IF … THEN … ELSIF … ELSE … END IF.
func (r *plReader) branches() {
	r.need(r.word("if"))
	for !r.failed {
		r.expression("then")
		r.step()
		r.statements()
		if !r.word("elsif", "elseif") {
			break
		}
	}
	if r.word("else") {
		r.statements()
	}
	r.need(r.word("end") && r.word("if") && r.symbol(";"))
}

// cases is CASE [expression] WHEN expressions THEN … ELSE … END CASE.
func (r *plReader) cases() {
	r.need(r.word("case"))
	if text := r.until("when"); text != "" {
		r.emit("SELECT ", text)
	}
	for !r.failed && r.word("when") {
		r.expression("then")
		r.step()
		r.statements()
	}
	if r.word("else") {
		r.statements()
	}
	r.need(r.word("end") && r.word("case") && r.symbol(";"))
}

// loop is LOOP, WHILE, FOR or FOREACH with the statements up to END LOOP [label].
func (r *plReader) loop() {
	switch {
	case r.word("while"):
		r.expression("loop")
	case r.word("foreach"):
		r.until("in")
		r.step()
		r.need(r.word("array"))
		r.expression("loop")
	case r.word("for"):
		r.until("in")
		r.step()
		r.rows()
	}
	r.need(r.word("loop"))
	r.statements()
	r.need(r.word("end") && r.word("loop"))
	if r.now().name() {
		r.step()
	}
	r.need(r.symbol(";"))
}

// rows is what comes after IN: a range, a query, EXECUTE, a cursor.
func (r *plReader) rows() {
	if r.word("execute") {
		r.dynamic("loop")
		return
	}
	if t := r.now(); t.name() && r.cursors[t.text] {
		r.step()
		r.arguments()
		return
	}
	if !r.ranges() {
		r.query("loop")
		return
	}
	r.word("reverse")
	r.expression("..")
	r.step()
	r.expression("loop", "by")
	if r.word("by") {
		r.expression("loop")
	}
}

// ranges is whether .. comes before LOOP.
func (r *plReader) ranges() bool {
	level := 0
	for i := r.at; i < len(r.tokens); i++ {
		switch t := &r.tokens[i]; {
		case t.is("("), t.is("["):
			level++
		case t.is(")"), t.is("]"):
			level--
		case t.is("..") && level == 0:
			return true
		case t.is(";"), t.kind == plWord && t.text == "loop" && level == 0:
			return false
		}
	}
	return false
}
