package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

const (
	// maxPLBytes bounds a PL/pgSQL body that is read. Catalogs of thousands of functions are read
	// in one go, and longer ones are mostly no reads.
	maxPLBytes = 128 << 10
	// maxPLNesting bounds blocks, loops and branches in each other.
	maxPLNesting = 200
)

// plText is what a PL/pgSQL body runs, as one text of SQL statements: each query and command as
// it stands, without INTO and its targets, and each expression as SELECT expression, in the
// order of the source. Variables stay as they are: they look like columns. DECLARE and CLOSE of a
// cursor stand for whatever is done to one, which outlives the function.
//
// It is false for what is not understood wholly, EXECUTE of a text that is no constant
// foremost. Types that variables are declared with are in it, but for %TYPE and %ROWTYPE.
//
// The statements of the language are those of the PostgreSQL manual, PL/pgSQL; where one ends, and
// where an expression in it ends, is told as pl_gram.y of PostgreSQL tells it: by reserved
// words outside of brackets. The library has a parser too, but it gives up where types are to be
// looked up (cursors, fields of arguments), and leaves no way out of a crash.
func plText(body string) (string, bool) {
	if len(body) > maxPLBytes {
		return "", false
	}
	tokens, ok := plTokens(body)
	if !ok {
		return "", false
	}
	r := plReader{src: body, tokens: tokens, cursors: map[string]bool{}}
	r.options()
	r.label()
	r.block()
	if r.symbol(";"); r.now().kind != plEnd {
		r.failed = true
	}
	return r.out.String(), !r.failed
}

// plReader goes through a body once. After the first failure what it does is of no interest;
// every loop ends then.
type plReader struct {
	src    string
	tokens []plToken
	at     int
	depth  int
	failed bool
	// cursors are the variables that are declared as one.
	cursors map[string]bool
	out     strings.Builder
}

func (r *plReader) now() *plToken { return &r.tokens[r.at] }

// next is the token after now.
func (r *plReader) next() *plToken { return &r.tokens[min(r.at+1, len(r.tokens)-1)] }

func (r *plReader) step() {
	if r.at < len(r.tokens)-1 {
		r.at++
	} else {
		r.failed = true // all loops look at it
	}
}

// word skips a keyword, if it comes.
func (r *plReader) word(words ...string) bool {
	for _, word := range words {
		if t := r.now(); t.kind == plWord && t.text == word {
			r.step()
			return true
		}
	}
	return false
}

func (r *plReader) symbol(symbol string) bool {
	if r.now().is(symbol) {
		r.step()
		return true
	}
	return false
}

func (r *plReader) need(done bool) { r.failed = r.failed || !done }

// identifier skips a name and what comes after it with dots.
func (r *plReader) identifier() {
	r.need(r.now().name())
	r.step()
	for r.symbol(".") {
		r.need(r.now().name())
		r.step()
	}
}

// plStops are the reserved words that end an expression where they are asked for.
type plStops []string

func (stops plStops) has(t *plToken) bool {
	if t.kind != plWord && t.kind != plSymbol {
		return false
	}
	for _, stop := range stops {
		if t.text == stop {
			return true
		}
	}
	return false
}

// until takes all up to the first of stops outside of brackets, and returns it as it stands.
func (r *plReader) until(stops ...string) string {
	first, level := r.at, 0
	for !r.failed {
		t := r.now()
		if level == 0 && plStops(stops).has(t) {
			break
		}
		switch {
		case t.is("("), t.is("["):
			level++
		case t.is(")"), t.is("]"):
			level--
		}
		if level < 0 || t.kind == plEnd || t.is(";") {
			r.failed = true
			break
		}
		r.step()
	}
	return r.text(first, r.at)
}

// text is the source of tokens[from:to].
func (r *plReader) text(from, to int) string {
	if from >= to {
		return ""
	}
	return r.src[r.tokens[from].start:r.tokens[to-1].end]
}

// emit adds a statement.
func (r *plReader) emit(parts ...string) {
	for _, part := range parts {
		r.out.WriteString(part)
	}
	r.out.WriteString("\n;\n")
}

// expression takes an expression that must be there, or several with commas.
func (r *plReader) expression(stops ...string) {
	text := r.until(stops...)
	r.need(text != "")
	r.emit("SELECT ", text)
}

// options skips the lines that may begin a body: #variable_conflict use_column.
func (r *plReader) options() {
	for r.symbol("#") {
		r.identifier()
		r.need(r.now().name())
		r.step()
	}
}

// label skips <<label>>.
func (r *plReader) label() {
	if r.symbol("<<") {
		r.need(r.now().name())
		r.step()
		r.need(r.symbol(">>"))
	}
}

// block is [DECLARE …] BEGIN … [EXCEPTION …] END [label].
func (r *plReader) block() {
	if r.word("declare") {
		for !r.failed && !(r.now().kind == plWord && r.now().text == "begin") {
			if !r.word("declare") {
				r.declaration()
			}
		}
	}
	r.need(r.word("begin"))
	r.statements()
	if r.word("exception") {
		for r.word("when") {
			r.until("then")
			r.need(r.word("then"))
			r.statements()
		}
	}
	r.need(r.word("end"))
	if r.now().name() {
		r.step()
	}
}

// declaration is one of a block's.
func (r *plReader) declaration() {
	name := r.now().text
	r.need(r.now().name())
	r.step()
	if r.word("alias") {
		r.until(";")
		r.step()
		return
	}
	if r.now().kind == plWord && (r.now().text == "no" || r.now().text == "scroll" || r.now().text == "cursor") {
		r.word("no")
		r.word("scroll")
		if r.word("cursor") {
			r.cursors[name] = true
			r.cursor()
			return
		}
		r.failed = true
	}
	r.word("constant")
	r.typed(r.until(";", "collate", "not", ":=", "=", "default"))
	if r.word("collate") {
		r.identifier()
	}
	if r.word("not") {
		r.need(r.word("null"))
	}
	if r.symbol(":=") || r.symbol("=") || r.word("default") {
		r.expression(";")
	}
	r.need(r.symbol(";"))
}

// typed notes the type of a variable: whatever it is given is made one of it.
func (r *plReader) typed(name string) {
	r.need(name != "")
	if !strings.Contains(name, "%") {
		r.emit("SELECT NULL::", name)
	}
}

// cursor is [(arguments)] FOR query of a declaration.
func (r *plReader) cursor() {
	if r.symbol("(") {
		for !r.failed {
			r.need(r.now().name())
			r.step()
			r.typed(r.until(",", ")"))
			if r.symbol(")") {
				break
			}
			r.step()
		}
	}
	r.need(r.word("for", "is"))
	r.query(";")
	r.need(r.symbol(";"))
}

// query takes a query as it stands.
func (r *plReader) query(stop string) {
	text := r.until(stop)
	r.need(text != "")
	r.emit(text)
}

// command takes a command up to the semicolon, without INTO and its targets.
func (r *plReader) command() {
	importing := r.now().kind == plWord && r.now().text == "import"
	from := r.at
	r.need(!r.now().is(";"))
	for !r.failed && !r.now().is(";") {
		if t := r.now(); t.kind == plWord && t.text == "into" && !importing && !r.targetOfWrite() {
			r.out.WriteString(r.text(from, r.at) + " ")
			r.into()
			from = r.at
			continue
		}
		r.step()
	}
	r.emit(r.text(from, r.at))
}

// targetOfWrite is whether INTO is that of INSERT or MERGE.
func (r *plReader) targetOfWrite() bool {
	before := r.tokens[max(r.at-1, 0)]
	return before.kind == plWord && (before.text == "insert" || before.text == "merge")
}

// into skips INTO [STRICT] targets.
func (r *plReader) into() {
	r.need(r.word("into"))
	r.word("strict")
	r.target()
	for r.symbol(",") {
		r.target()
	}
}

// target skips a variable, which may be $1.
func (r *plReader) target() {
	if r.now().kind == plNumber {
		r.step()
		return
	}
	r.identifier()
}

// dynamic takes the text that EXECUTE runs, which must be a constant, and USING's expressions.
func (r *plReader) dynamic(stops ...string) {
	text, ok := constantSQL(r.until(append(stops, "into", "using")...))
	r.need(ok)
	r.emit(text)
	for !r.failed && !plStops(stops).has(r.now()) {
		switch {
		case r.now().kind == plWord && r.now().text == "into":
			r.into()
		case r.word("using"):
			r.expression(append(stops, "into")...)
		default:
			r.failed = true
		}
	}
}

// constantSQL is the value of an expression that is a literal, or several with || between.
func constantSQL(expression string) (string, bool) {
	if strings.IndexByte(expression, '\'') < 0 && strings.IndexByte(expression, '$') < 0 || len(expression) > maxPLBytes {
		return "", false
	}
	skeleton, info := skeletonOf("SELECT " + expression)
	if tooDeep(skeleton, info, len(expression)) {
		return "", false
	}
	tree, err := pg.Parse("SELECT " + expression)
	if err != nil || len(tree.Stmts) != 1 {
		return "", false
	}
	s := tree.Stmts[0].Stmt.GetSelectStmt()
	if len(s.GetTargetList()) != 1 || len(s.FromClause) > 0 || s.WhereClause != nil || s.Op != pg.SetOperation_SETOP_NONE {
		return "", false
	}
	var text strings.Builder
	ok := constantParts(s.TargetList[0].GetResTarget().GetVal(), &text)
	if ok {
		_, ok = plTokens(text.String()) // what does not end would take in what follows
	}
	return text.String(), ok
}

func constantParts(node *pg.Node, text *strings.Builder) bool {
	if s := node.GetAConst().GetSval(); s != nil {
		text.WriteString(s.Sval)
		return true
	}
	e := node.GetAExpr()
	return e != nil && e.Kind == pg.A_Expr_Kind_AEXPR_OP && nameFrom(e.Name) == Name{Name: "||"} && len(e.Name) == 1 &&
		constantParts(e.Lexpr, text) && constantParts(e.Rexpr, text)
}
