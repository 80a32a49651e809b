package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
	"sallyport/internal/wire"
)

// Encode writes the request for the provider. account holds the connection's
// non-secret credential fields, for the parameters that the gate inserts. The same Args
// always give the same bytes, in the order of the contract, and different Args give
// different bytes: what the provider's parser reads is exactly Args. A value that could
// be read as something else at its place is refused with a *problem.Error; a missing
// account field is an ordinary error.
func (o *Operation) Encode(a Args, account map[string]string) (Output, error) {
	if !o.Loaded() {
		return Output{}, o.notLoaded()
	}
	a, err := a.of(o)
	if err != nil {
		return Output{}, problem.Wrap(err, problem.ContractViolation, "the parameters of %s cannot be written", o.ID)
	}
	for _, name := range a.strangers() {
		return Output{}, refuse(problem.ContractViolation, "%s has no parameter %s", o.ID, showName(name))
	}
	if a, err = a.withAccount(account); err != nil {
		return Output{}, err
	}
	e := encoder{op: o, writer: writers.Get().(*wire.Writer), files: a.files, form: a.made.take(), out: Output{Header: http.Header{}}}
	defer writers.Put(e.writer)
	if err := e.target(a.rest); err != nil {
		return Output{}, err
	}
	if err := e.body(a.body); err != nil {
		return Output{}, err
	}
	return e.out, nil
}

// strangers lists the names that no parameter has.
func (a Args) strangers() []string {
	var out []string
	if a.rest != nil && !a.rest.Empty() {
		for i := range kids(a.rest, 0) {
			if q, ok := a.op.Param(string(a.rest.Key(i))); !ok || q.In == InBody && q.Account == "" {
				out = append(out, string(a.rest.Key(i)))
			}
		}
	}
	return out
}

// withAccount adds what the gate inserts; a itself stays as it is.
func (a Args) withAccount(account map[string]string) (Args, error) {
	copied := false
	for i := range a.op.Params {
		q := &a.op.Params[i]
		if q.Account == "" {
			continue
		}
		field, ok := account[q.Account]
		if !ok || field == "" {
			return Args{}, fmt.Errorf("encode %s: the connection has no credential field %s", a.op.ID, q.Account)
		}
		if !copied {
			a, copied = a.Clone(), true
		}
		t := &a.rest
		if q.In == InBody {
			t = &a.body
		}
		if *t == nil {
			*t = new(tape.Tape)
		}
		name := q.Name
		if q.In == InBody {
			name = q.Wire
		}
		if err := (*t).Set([]tape.Step{{Name: name}}, field); err != nil {
			return Args{}, fmt.Errorf("encode %s: the credential field %s: %w", a.op.ID, q.Account, err)
		}
	}
	return a, nil
}

// encoder writes one request.
type encoder struct {
	op     *Operation
	writer *wire.Writer
	files  []wire.File
	form   []byte // the body, where Check wrote it already
	out    Output
}

// target writes path, query, header and cookie parameters.
func (e *encoder) target(rest *tape.Tape) error {
	if rest == nil || rest.Empty() {
		rest = emptyObject
	}
	if err := e.path(rest); err != nil {
		return err
	}
	var query, cookies []byte
	for i := range e.op.Params {
		q := &e.op.Params[i]
		if q.In == InBody || q.In == InPath {
			continue
		}
		at, ok := rest.Find(0, q.Name)
		if !ok {
			continue
		}
		var err error
		switch p := e.op.wire.of(e.op, q); q.In {
		case InQuery:
			query, err = e.writer.Query(query, rest, at, p)
		case InCookie:
			cookies, err = e.writer.Cookie(cookies, rest, at, p)
		case InHeader:
			var text []byte
			text, err = e.writer.Header(nil, rest, at, p)
			e.out.Header.Set(q.Wire, string(text))
		}
		if err != nil {
			return e.cannot(q, err)
		}
	}
	e.out.RawQuery = string(query)
	if len(cookies) > 0 {
		e.out.Header.Set("Cookie", string(cookies))
	}
	return nil
}

// cannot names the parameter that cannot be written.
func (e *encoder) cannot(q *Parameter, err error) error {
	return problem.Wrap(err, problem.ContractViolation, "%s cannot be written in the %s", q.Name, q.In)
}

func (e *encoder) path(rest *tape.Tape) error {
	path := make([]byte, 0, len(e.op.PathTemplate)+32)
	for i, s := range e.op.segments {
		path = append(path, '/')
		path = append(path, escapeLiteral(s.before)...)
		if s.param == "" {
			continue
		}
		q := e.op.wire.bySegment(e.op, i)
		at, ok := 0, false
		if q != nil {
			at, ok = rest.Find(0, q.Name)
		}
		if !ok {
			return refuse(problem.ContractViolation, "the path parameter %s is missing", s.param)
		}
		var err error
		if path, err = e.writer.Path(path, rest, at, e.op.wire.of(e.op, q)); err != nil {
			return e.cannot(q, err)
		}
		path = append(path, escapeLiteral(s.after)...)
	}
	e.out.Path = string(path)
	return nil
}

func (e *encoder) body(t *tape.Tape) error {
	o := e.op
	switch {
	case o.body == nil || t == nil && (o.whole || !o.BodyRequired):
		return nil
	case t == nil || t.Empty():
		t = emptyObject
	case !o.whole && t.Nodes[0].Count == 0 && !o.BodyRequired:
		return nil
	}
	shape := o.doc.prog.Shape(o.bodyID)
	var err error
	switch o.RequestType {
	case JSONType:
		e.out.ContentType = o.sentAs
		e.out.Body = appendOrdered(make([]byte, 0, len(t.Src)+64), t, 0, shape)
	case FormType:
		e.out.ContentType = FormType
		if e.form != nil {
			e.out.Body = e.form
			return nil
		}
		e.out.Body, err = e.writer.Form(make([]byte, 0, 2*len(t.Src)+64), t, 0, o.form, shape)
	case MultipartType:
		var boundary string
		if e.out.Body, boundary, err = e.writer.Multipart(nil, t, 0, o.parts, e.files); err == nil {
			e.out.ContentType = MultipartType + "; boundary=" + boundary
		}
	case XMLType:
		e.out.ContentType = o.sentAs
		e.out.Body, err = e.writer.XML(nil, t, 0, o.xmlRoot, shape)
	}
	return err
}

// bodyMisfits says what of a body its media type cannot carry.
func (o *Operation) bodyMisfits(w *wire.Writer, t *tape.Tape, files []wire.File) []wire.Misfit {
	shape := o.doc.prog.Shape(o.bodyID)
	switch o.RequestType {
	case FormType:
		return w.FormMisfits(t, 0, o.form, shape)
	case MultipartType:
		return w.MultipartMisfits(t, 0, o.parts, files)
	case XMLType:
		return w.XMLMisfits(t, 0, o.xmlRoot, shape)
	}
	return nil
}

// escapeLiteral is for the template's own text, where providers use : and @.
func escapeLiteral(s string) string {
	const hex, keep = "0123456789ABCDEF", "-._~:@!$&'()*+,;="
	plain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(keep, c) >= 0
	}
	if !slices.ContainsFunc([]byte(s), func(c byte) bool { return !plain(c) }) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// appendOrdered writes a value as JSON with the members of objects in the order of the
// contract, the others behind them by name.
func appendOrdered(dst []byte, t *tape.Tape, i int, s schema.Shape) []byte {
	switch n := &t.Nodes[i]; n.Kind {
	case tape.Array:
		dst = append(dst, '[')
		at := 0
		for kid := i + 1; kid < int(n.Next); kid = int(t.Nodes[kid].Next) {
			if at > 0 {
				dst = append(dst, ',')
			}
			dst = appendOrdered(dst, t, kid, s.Item(at))
			at++
		}
		return append(dst, ']')
	case tape.Object:
		return appendObject(dst, t, i, s)
	}
	return t.AppendJSON(dst, i)
}

// ranked is a member on its way to be written.
type ranked struct {
	node, rank int
	shape      schema.Shape
}

func appendObject(dst []byte, t *tape.Tape, i int, s schema.Shape) []byte {
	var few [16]ranked
	list, sorted := few[:0], true
	for kid := range kids(t, i) {
		shape, listed := s.Member(t.Key(kid))
		rank := 1 << 40
		if listed {
			rank = s.Rank(t.Key(kid))
		}
		if n := len(list); n > 0 && (list[n-1].rank > rank || !listed) {
			sorted = false
		}
		list = append(list, ranked{kid, rank, shape})
	}
	if !sorted {
		slices.SortFunc(list, func(a, b ranked) int {
			if a.rank != b.rank {
				return a.rank - b.rank
			}
			return strings.Compare(string(t.Key(a.node)), string(t.Key(b.node)))
		})
	}
	dst = append(dst, '{')
	for k, m := range list {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = append(tape.AppendString(dst, t.Key(m.node)), ':')
		dst = appendOrdered(dst, t, m.node, m.shape)
	}
	return append(dst, '}')
}
