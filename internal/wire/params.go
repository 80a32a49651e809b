package wire

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// Param is one parameter of a path, query, header or cookie.
type Param struct {
	Name  string // its name in the tape
	Wire  string // its name on the wire
	Style Style
	Shape schema.Shape
}

// Params are the parameters of an operation in one location. It is read-only.
type Params struct {
	list   []Param
	byWire map[string]target
	rest   int // the exploded object that takes every other name, or -1
}

// target is what a name on the wire means: a parameter, or a member of one.
type target struct {
	param  int
	member bool
}

// NewParams prepares parameters of a query or of cookies. It refuses those that could not
// be told apart.
func NewParams(list []Param) (*Params, error) {
	ps := &Params{list: slices.Clone(list), byWire: map[string]target{}, rest: -1}
	for i := range ps.list {
		p := &ps.list[i]
		if v := viewOf(p.Shape); p.Style == Repeat && v.structured() {
			if err := ps.spread(i, v); err != nil {
				return nil, err
			}
			continue
		}
		if p.Style == Brackets && strings.ContainsAny(p.Wire, "[]") {
			return nil, fmt.Errorf("the parameter %s has brackets in its name, which style deepObject reads as a structure", p.Name)
		}
		if err := ps.add(p.Wire, target{param: i}); err != nil {
			return nil, err
		}
	}
	return ps, nil
}

func (ps *Params) add(wire string, t target) error {
	if old, taken := ps.byWire[wire]; taken {
		return fmt.Errorf("the name %s stands for the parameter %s and for %s; give one of them another style", wire, ps.list[old.param].Name, ps.list[t.param].Name)
	}
	ps.byWire[wire] = t
	return nil
}

// spread enters the members of an exploded object, which stand beside the other parameters.
func (ps *Params) spread(i int, s view) error {
	for _, name := range s.Names() {
		if err := ps.add(name, target{i, true}); err != nil {
			return err
		}
	}
	if other, _ := s.Member([]byte{0}); !other.Known() {
		return nil
	}
	if ps.rest >= 0 {
		return fmt.Errorf("the parameters %s and %s both take any name; write deepObject for one of them", ps.list[ps.rest].Name, ps.list[i].Name)
	}
	ps.rest = i
	return nil
}

// Query reads a query string: it adds a member to the open object of b for every parameter
// that is there, in the order of the parameters. unknown are names that no parameter has,
// each once, at most 20 of them. The error is a *problem.Error of code bad_query.
func (r *Reader) Query(b *tape.Builder, raw string, ps *Params) (unknown []string, err error) {
	r.start(problem.BadQuery, Repeat)
	r.raw = append(r.raw[:0], raw...)
	if err := r.split(r.raw); err != nil {
		return nil, err
	}
	return r.members(b, ps)
}

// Cookies reads a Cookie header (RFC 6265 §4.2) as Query reads a query. Values are
// percent-decoded. Cookies that are no parameters are not looked at: they belong to somebody
// else, who may write them in his own way; unknown lists their names.
func (r *Reader) Cookies(b *tape.Builder, header string, ps *Params) (unknown []string, err error) {
	r.start(problem.BadHeader, Repeat)
	r.raw = r.raw[:0]
	for i, pair := range strings.Split(header, ";") {
		pair = strings.TrimPrefix(pair, " ")
		name, value, ok := strings.Cut(pair, "=")
		if !ps.mayBe(name) {
			if len(unknown) < 20 && !slices.Contains(unknown, name) {
				unknown = append(unknown, name)
			}
			continue
		}
		if !ok || strings.ContainsAny(pair, " \t\",\\") {
			return nil, refuse(r.code, "cookie %d is not written name=value", i+1)
		}
		if len(r.raw) > 0 {
			r.raw = append(r.raw, '&')
		}
		r.raw = append(append(append(r.raw, name...), '='), cookieValue.Replace(value)...)
	}
	if err := r.split(r.raw); err != nil {
		return nil, err
	}
	others, err := r.members(b, ps)
	return append(unknown, others...), err
}

// cookieValue is how a cookie's value is written in a query: & and + are nothing special in it.
var cookieValue = strings.NewReplacer("&", "%26", "+", "%2B")

// mayBe reports whether a name on the wire, as it stands or percent-decoded, is a parameter's.
func (ps *Params) mayBe(name string) bool {
	if _, ok := ps.byWire[name]; ok || ps.rest >= 0 {
		return true
	}
	decoded, err := url.PathUnescape(name)
	_, ok := ps.byWire[decoded]
	return ok && err == nil
}

func (r *Reader) members(b *tape.Builder, ps *Params) (unknown []string, err error) {
	r.params = ps
	from := len(r.slots)
	for range ps.list {
		r.slots = append(r.slots, 0)
	}
	for _, p := range r.pairs {
		i, k, err := r.paramPlace(p.key, r.slots[from:])
		switch {
		case err != nil:
			return nil, err
		case i < 0:
			unknown = r.addUnknown(unknown, p.key)
		case k == 0 || !r.addValue(k, p.value):
			return nil, refuse(r.code, "%s stands there both as a value and as a structure", ps.list[i].Name)
		}
	}
	for i := range ps.list {
		p := &ps.list[i]
		k := r.slots[from+i]
		if k == 0 {
			continue
		}
		b.KeyString(p.Name)
		r.style = p.Style
		v := viewOf(p.Shape)
		if err := r.read(b, k, v); err != nil {
			return unknown, err
		}
	}
	return unknown, r.blame(b)
}

// paramPlace finds the parameter that a name belongs to (-1: none), and its place.
func (r *Reader) paramPlace(key span, slots []int32) (param int, k int32, err error) {
	t, rest, ok := r.target(key)
	if !ok {
		return -1, 0, nil
	}
	if slots[t.param] == 0 {
		k := r.newChild(0, span{}, tape.Hash(""))
		if k == 0 {
			return t.param, 0, refuse(r.code, "more than %d names", maxPlaces)
		}
		r.places[k].param = int32(t.param) + 1
		slots[t.param] = k
	}
	k = slots[t.param]
	if t.member {
		k, err = r.below(k, key)
		return t.param, k, err
	}
	k, err = r.descend(k, rest)
	return t.param, k, err
}

// target finds what a name means; rest are the brackets behind a parameter's name.
func (r *Reader) target(key span) (t target, rest span, ok bool) {
	ps := r.params
	text := r.text[key.off:key.end]
	if t, ok = ps.byWire[string(text)]; ok {
		return t, span{}, true
	}
	if bytes.IndexByte(text, '[') > 0 {
		root, rest, balanced := r.cutKey(key)
		t, ok = ps.byWire[string(r.text[root.off:root.end])]
		if ok && balanced && !t.member && ps.list[t.param].Style == Brackets {
			return t, rest, true
		}
	}
	if ps.rest >= 0 {
		return target{ps.rest, true}, span{}, true
	}
	return target{}, span{}, false
}

func (r *Reader) addUnknown(unknown []string, key span) []string {
	if root, _, ok := r.cutKey(key); ok {
		key = root
	}
	name := string(r.text[key.off:key.end])
	if len(unknown) >= 20 || slices.Contains(unknown, name) {
		return unknown
	}
	return append(unknown, name)
}

// Path adds the member of a path parameter. text is its part of the path, percent-decoded
// once. The error is a *problem.Error of code bad_target.
func (r *Reader) Path(b *tape.Builder, p *Param, text []byte) error {
	r.start(problem.BadTarget, p.Style)
	return r.single(b, p, text)
}

// Header adds the member of a header parameter. The error is a *problem.Error of code
// bad_header.
func (r *Reader) Header(b *tape.Builder, p *Param, text string) error {
	r.start(problem.BadHeader, p.Style)
	r.raw = append(r.raw[:0], text...)
	return r.single(b, p, r.raw)
}

func (r *Reader) single(b *tape.Builder, p *Param, text []byte) error {
	b.KeyString(p.Name)
	if p.Style == JSON {
		if err := r.readJSON(b, p.Name, text); err != nil {
			return err
		}
		return r.blame(b)
	}
	d := delimited{style: p.Style, wire: p.Wire, b: b}
	v := viewOf(p.Shape)
	if fault := d.read(text, v); fault != "" {
		return refuse(r.code, "%s %s", p.Name, fault)
	}
	return r.blame(b)
}

// blame turns what the builder found into the caller's error.
func (r *Reader) blame(b *tape.Builder) error {
	if fault, ok := b.Err().(*tape.SyntaxError); ok {
		return refuse(r.code, "%s", fault.What)
	}
	return b.Err()
}
