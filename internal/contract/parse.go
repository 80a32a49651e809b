package contract

import (
	"bytes"
	"errors"
	"mime"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
	"sallyport/internal/wire"
)

// maxFaults is how many faults are told.
const maxFaults = 20

// bodyLimits are those of requests and answers.
var bodyLimits = tape.Limits{Depth: maxDepth, Elements: maxElements, Digits: 128, Exponent: 308}

const (
	maxDepth    = 64     // of nesting
	maxElements = 10_000 // of one array or one object
)

// readers are used again; one keeps nothing of what it has read.
var readers = sync.Pool{New: func() any { return new(wire.Reader) }}

// Parse reads what a caller sent. The error is a *problem.Error and always fatal: the
// bytes are not acceptable (bad JSON, a duplicate name at any depth, invalid UTF-8, a
// lone surrogate, a byte order mark, too deep, too long, bad percent-encoding, another
// media type). Faults are names that the contract does not know; they are not in the
// Args, so they are never forwarded. Whether values fit is Check's to say. Scalars of
// path, query, header, cookie and form become the type that the schema wants, exactly:
// what is not written as that type stays a string, and Check refuses it.
//
// A form operation accepts a JSON body and the reverse. Parameters that the gate
// inserts are ignored, whatever they say. Nothing of in is kept.
func (o *Operation) Parse(in Input) (Args, []problem.Fault, error) {
	if !o.Loaded() {
		return Args{}, nil, o.notLoaded()
	}
	p := &parse{op: o, reader: readers.Get().(*wire.Reader)}
	defer readers.Put(p.reader)
	args := Args{op: o}
	if o.wire.any {
		args.rest = new(tape.Tape)
		if err := p.rest(args.rest, in); err != nil {
			return Args{}, nil, err
		}
	} else if err := p.plainTarget(in); err != nil {
		return Args{}, nil, err
	}
	var err error
	if args.body, err = p.body(in); err != nil {
		return Args{}, nil, err
	}
	args.files = p.files
	p.prune(&args)
	if o.RequestType == FormType {
		args.made = new(made)
	}
	return args, p.faults, nil
}

// parse is one request on its way from bytes to Args.
type parse struct {
	op     *Operation
	reader *wire.Reader
	faults []problem.Fault
	files  []wire.File
}

func (p *parse) fault(f problem.Fault) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, f)
	}
}

// rest reads all but the body.
func (p *parse) rest(t *tape.Tape, in Input) error {
	var b tape.Builder
	b.Start(t, bodyLimits)
	b.BeginObject()
	for _, read := range []func(*tape.Builder, Input) error{p.path, p.query, p.header, p.cookies} {
		if err := read(&b, in); err != nil {
			return err
		}
	}
	b.End()
	if err := b.Done(); err != nil {
		return refuse(problem.BadQuery, "the parameters cannot be read: %v", err)
	}
	return nil
}

// plainTarget reads path and query of an operation without parameters there.
func (p *parse) plainTarget(in Input) error {
	var t tape.Tape
	if in.RawQuery == "" && len(p.op.wire.path) == 0 && in.Path == p.op.PathTemplate {
		return nil
	}
	return p.rest(&t, in)
}

func (p *parse) path(b *tape.Builder, in Input) error {
	parts, ok := splitPath(in.Path)
	if !ok || !p.op.matches(parts) {
		return refuse(problem.BadTarget, "the path is not %s", p.op.PathTemplate)
	}
	for i := range p.op.wire.path {
		q := &p.op.wire.path[i]
		value, _ := p.op.segments[q.segment].match(parts[q.segment])
		if err := p.reader.Path(b, &q.Param, []byte(value)); err != nil {
			return err
		}
	}
	return nil
}

func (p *parse) query(b *tape.Builder, in Input) error {
	if in.RawQuery == "" {
		return nil
	}
	unknown, err := p.reader.Query(b, in.RawQuery, p.op.wire.query)
	if err != nil {
		return err
	}
	for _, name := range unknown {
		if !slices.Contains(p.op.wire.given, name) {
			p.stranger(nil, name, p.op.ParamNames())
		}
	}
	return nil
}

func (p *parse) header(b *tape.Builder, in Input) error {
	for i := range p.op.wire.headers {
		q := p.op.wire.headers[i]
		switch values := in.Header.Values(q.Wire); len(values) {
		case 0:
		case 1:
			if err := p.reader.Header(b, q, values[0]); err != nil {
				return err
			}
		default:
			return refuse(problem.BadHeader, "the header %s stands %d times", q.Wire, len(values))
		}
	}
	return nil
}

// cookies reads the named cookies. A caller's other cookies are not the provider's
// business: they are neither faults nor forwarded.
func (p *parse) cookies(b *tape.Builder, in Input) error {
	if p.op.wire.cookies == nil {
		return nil
	}
	switch values := in.Header.Values("Cookie"); len(values) {
	case 0:
		return nil
	case 1:
		_, err := p.reader.Cookies(b, values[0], p.op.wire.cookies)
		return err
	default:
		return refuse(problem.BadHeader, "the header Cookie stands %d times", len(values))
	}
}

// stranger reports an unknown name. Looking for the name that was meant costs more
// than anything else here, so it is done for the faults that are told only.
func (p *parse) stranger(at []schema.Step, name string, known []string) {
	if len(p.faults) < maxFaults {
		p.fault(stranger(at, name, known))
	}
}

func stranger(at []schema.Step, name string, known []string) problem.Fault {
	want := "no names here"
	if len(known) > 0 {
		want = "one of " + inWords(known)
	}
	return faultAt(append(at[:len(at):len(at)], named(name)), "the unknown name "+showName(name), want, schema.Nearest(name, known))
}

// body reads the body; nil when there is none.
func (p *parse) body(in Input) (*tape.Tape, error) {
	if len(in.Body) == 0 {
		return nil, nil
	}
	if p.op.body == nil {
		return nil, problem.New(problem.BadBody, "%s takes no body", p.op.ID).WithHint("send the parameters in the path and the query")
	}
	media, err := p.op.mediaType(in.ContentType)
	if err != nil {
		return nil, err
	}
	t := new(tape.Tape)
	if media == JSONType {
		if err := t.Parse(bytes.Clone(in.Body), bodyLimits); err != nil {
			return nil, badJSON(err)
		}
	} else if t, err = p.build(media, in); err != nil {
		return nil, err
	}
	if n := &t.Nodes[0]; n.Kind != tape.Object && !p.op.whole {
		return nil, problem.New(problem.ContractViolation, "the body of %s is an object of parameters; found %s", p.op.ID, foundRoot(n))
	}
	return t, nil
}

func foundRoot(n *tape.Node) string {
	switch n.Kind {
	case tape.Array:
		return "an array"
	case tape.Null:
		return "null"
	}
	return "a " + n.Kind.String()
}

func badJSON(err error) error {
	code := problem.BadBody
	var syntax *tape.SyntaxError
	if errors.As(err, &syntax) && syntax.TooBig {
		code = problem.ContractViolation
	}
	return problem.New(code, "the body is not acceptable JSON: %v", err)
}

// build reads a body that is not JSON, in a tape of the pool that has grown already.
func (p *parse) build(media string, in Input) (*tape.Tape, error) {
	scratch := tapes.Get().(*tape.Tape)
	defer func() {
		scratch.Reset(keepTape)
		tapes.Put(scratch)
	}()
	var b tape.Builder
	b.Start(scratch, bodyLimits)
	if err := p.read(&b, media, in); err != nil {
		return nil, err
	}
	if err := b.Done(); err != nil {
		return nil, refuse(problem.BadBody, "the body cannot be read: %v", err)
	}
	t := new(tape.Tape)
	scratch.Clone(t)
	return t, nil
}

func (p *parse) read(b *tape.Builder, media string, in Input) error {
	shape := p.op.doc.prog.Shape(p.op.bodyID)
	switch media {
	case FormType:
		return p.reader.Form(b, in.Body, p.op.form, shape)
	case XMLType:
		return p.reader.XML(b, in.Body, p.op.xmlRoot, shape)
	}
	boundary, err := wire.Boundary(in.ContentType)
	if err == nil {
		p.files, err = p.reader.Multipart(b, in.Body, boundary, p.op.parts)
	}
	return err
}

// mediaType accepts the types that this operation's body may have; charset may only be
// UTF-8.
func (o *Operation) mediaType(header string) (string, error) {
	switch header {
	case JSONType, FormType:
		return header, nil
	}
	media, params, err := mime.ParseMediaType(header)
	charset, given := params["charset"]
	utf8 := !given || strings.EqualFold(charset, "utf-8")
	switch {
	case err != nil || !utf8:
	case media == JSONType || media == FormType:
		return media, nil
	case jsonMedia(media) && mediaFamily(o.sentAs) == JSONType && media == strings.ToLower(o.sentAs):
		return JSONType, nil
	case mediaFamily(media) == o.RequestType:
		return o.RequestType, nil
	}
	return "", problem.New(problem.MediaType, "the body's Content-Type is not one that this operation takes").
		WithHint("send Content-Type: %s, in UTF-8", strings.Join(o.bodyTypes(), " or "))
}

func (o *Operation) bodyTypes() []string {
	types := []string{JSONType, FormType}
	if !slices.Contains(types, o.RequestType) {
		types = append(types, o.RequestType)
	}
	return types
}
