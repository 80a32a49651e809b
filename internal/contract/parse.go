package contract

import (
	"errors"
	"mime"
	"strings"

	"sallyport/internal/problem"
)

// parse is one request on its way from bytes to Args.
type parse struct {
	op   *Operation
	tree map[string]any
	walk *walker
}

// Parse reads what a caller sent. The error is a *problem.Error and always fatal: the
// bytes are not acceptable (bad JSON, a duplicate name at any depth, invalid UTF-8, a
// lone surrogate, a byte order mark, too deep, too long, bad percent-encoding, another
// media type). Faults are names that the contract does not know; they are not in the
// Args, so they are never forwarded. Whether values fit is Check's to say. Scalars of
// path, query, header and form become the type that the schema wants, exactly: what is
// not written as that type stays a string, and Check refuses it.
//
// A form operation accepts a JSON body and the reverse. Parameters that the gate
// inserts are ignored, whatever they say.
func (o *Operation) Parse(in Input) (Args, []problem.Fault, error) {
	p := &parse{op: o, tree: map[string]any{}, walk: newWalker(false)}
	p.walk.limit = baseSteps + 4*len(in.Body)
	p.walk.prune = true
	p.walk.rename = o.wires
	for _, step := range []func(Input) error{p.path, p.query, p.header, p.body} {
		if err := step(in); err != nil {
			return Args{}, nil, err
		}
	}
	p.pruneNames()
	if p.walk.tooComplex() {
		return Args{}, nil, refuse(problem.ContractTooComplex, "the request has too many possible readings")
	}
	return Args{tree: p.tree}, p.walk.faults, nil
}

func (p *parse) path(in Input) error {
	values, ok := p.op.pathValues(in.Path)
	if !ok {
		return refuse(problem.BadTarget, "the path is not %s", p.op.PathTemplate)
	}
	for i := range p.op.Params {
		q := &p.op.Params[i]
		if q.In == InPath && q.Account == "" {
			p.tree[q.Name] = splitScalar(values[q.Wire], q)
		}
	}
	return nil
}

func (p *parse) query(in Input) error {
	pairs, err := splitPairs(in.RawQuery, problem.BadQuery)
	if err != nil {
		return err
	}
	nodes := map[string]*node{}
	for _, pair := range pairs {
		q, steps := p.queryParam(pair.key)
		if q == nil {
			p.unknown(pair.key)
			continue
		}
		if nodes[q.Name] == nil {
			nodes[q.Name] = &node{}
		}
		if !nodes[q.Name].add(steps, pair.value) {
			return refuse(problem.BadQuery, "the query names %s in more than one way", q.Name)
		}
	}
	for i := range p.op.Params {
		q := &p.op.Params[i]
		if n := nodes[q.Name]; n != nil && q.In == InQuery && q.Account == "" {
			r := formReader{style: q.style, code: problem.BadQuery}
			if p.tree[q.Name], err = r.value(n, []*Schema{q.Schema}, q.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// queryParam finds the parameter that a key belongs to, and the steps inside it.
func (p *parse) queryParam(key string) (*Parameter, []string) {
	root, steps, ok := splitKey(key)
	for i := range p.op.Params {
		q := &p.op.Params[i]
		if q.In != InQuery {
			continue
		}
		if q.Wire == key {
			return q, nil
		}
		if ok && q.Wire == root && q.style == asBrackets {
			return q, steps
		}
	}
	return nil, nil
}

// unknown reports a name of the request that no parameter has.
func (p *parse) unknown(key string) {
	if root, _, ok := splitKey(key); ok {
		key = root
	}
	p.walk.stranger(nil, key, p.op.ParamNames())
}

func (p *parse) header(in Input) error {
	for i := range p.op.Params {
		q := &p.op.Params[i]
		if q.In != InHeader || q.Account != "" {
			continue
		}
		switch values := in.Header.Values(q.Wire); len(values) {
		case 0:
		case 1:
			p.tree[q.Name] = splitScalar(values[0], q)
		default:
			return refuse(problem.BadHeader, "the header %s stands %d times", q.Wire, len(values))
		}
	}
	return nil
}

// splitScalar reads a path or header value, or a list of them with commas.
func splitScalar(s string, q *Parameter) any {
	parts := flatten([]*Schema{q.Schema})
	if !allows(parts, isArray) || allows(parts, isString) {
		return coerce(s, parts)
	}
	return splitCommas(s, parts)
}

func splitCommas(s string, parts []*Schema) any {
	items := flatten(elements(parts))
	list := []any{}
	for _, word := range strings.Split(s, ",") {
		list = append(list, coerce(word, items))
	}
	return list
}

func (p *parse) body(in Input) error {
	if len(in.Body) == 0 {
		return nil
	}
	if p.op.body == nil {
		return problem.New(problem.BadBody, "%s takes no body", p.op.ID).WithHint("send the parameters in the path and the query")
	}
	media, err := mediaType(in.ContentType)
	if err != nil {
		return err
	}
	var body any
	if media == FormType {
		body, err = p.form(string(in.Body))
	} else {
		body, err = p.json(in.Body)
	}
	if err != nil {
		return err
	}
	return p.spreadBody(body)
}

// mediaType accepts the two types that bodies may have; charset may only be UTF-8.
func mediaType(header string) (string, error) {
	media, params, err := mime.ParseMediaType(header)
	charset, given := params["charset"]
	if err != nil || media != JSONType && media != FormType || given && !strings.EqualFold(charset, "utf-8") {
		return "", problem.New(problem.MediaType, "the body's Content-Type is not one that this operation takes").
			WithHint("send Content-Type: %s (or %s), in UTF-8", JSONType, FormType)
	}
	return media, nil
}

func (p *parse) json(body []byte) (any, error) {
	v, err := readJSON(body, false)
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		code := problem.BadBody
		if syntax.tooHuge {
			code = problem.ContractViolation
		}
		return nil, problem.New(code, "the body is not acceptable JSON: %v", err)
	}
	return v, err
}

func (p *parse) form(body string) (any, error) {
	pairs, err := splitPairs(body, problem.BadBody)
	if err != nil {
		return nil, err
	}
	style := p.op.form
	root := &node{}
	for _, pair := range pairs {
		steps := []string{pair.key}
		if style == asBrackets {
			name, below, ok := splitKey(pair.key)
			if !ok {
				return nil, refuse(problem.BadBody, "the form has a name with unbalanced brackets")
			}
			steps = append([]string{name}, below...)
		}
		if !root.add(steps, pair.value) {
			return nil, refuse(problem.BadBody, "the form names %s both as a value and as a structure", showName(steps[0]))
		}
	}
	r := formReader{style: style, code: problem.BadBody}
	return r.object(root, flatten([]*Schema{p.op.body}), "")
}

// spreadBody puts a body's members into the tree under our names.
func (p *parse) spreadBody(body any) error {
	if p.op.whole {
		p.tree["body"] = body
		return nil
	}
	m, ok := body.(map[string]any)
	if !ok {
		return problem.New(problem.ContractViolation, "the body of %s is an object of parameters; found %s", p.op.ID, p.walk.found(body, unlisted))
	}
	open := p.op.openBody()
	for _, wire := range sortedKeys(m) {
		name, listed := p.op.wires[wire]
		_, taken := p.op.byName[wire]
		switch {
		case listed && p.op.Params[p.op.byName[name]].Account != "":
		case listed:
			p.tree[name] = m[wire]
		case open && !taken && wire != "__proto__":
			p.tree[wire] = m[wire]
		default:
			p.unknown(wire)
		}
	}
	return nil
}

// pruneNames takes unknown names out of every value.
func (p *parse) pruneNames() {
	for _, name := range sortedKeys(p.tree) {
		if q, ok := p.op.Param(name); ok && (q.In != InBody || p.op.whole) {
			p.tree[name], _ = p.walk.walk([]*Schema{q.Schema}, p.tree[name], (*spot)(nil).child(name), everything, Plain)
		}
	}
	body := p.op.bodyOf(p.tree)
	if body == nil || p.op.whole {
		return
	}
	out, _ := p.walk.walk([]*Schema{p.op.body}, body, nil, everything, Plain)
	kept, _ := out.(map[string]any)
	for wire := range body {
		name := firstOf(p.op.wires[wire], wire)
		if v, ok := kept[wire]; ok {
			p.tree[name] = v
		} else {
			delete(p.tree, name)
		}
	}
}

// bodyOf collects the body's members by their wire names; nil when there are none.
func (o *Operation) bodyOf(tree map[string]any) map[string]any {
	if o.body == nil || o.whole {
		return nil
	}
	var body map[string]any
	for name, v := range tree {
		wire := name
		if q, ok := o.Param(name); ok {
			if q.In != InBody || q.Account != "" {
				continue
			}
			wire = q.Wire
		} else if !o.openBody() {
			continue
		}
		if body == nil {
			body = map[string]any{}
		}
		body[wire] = v
	}
	return body
}
