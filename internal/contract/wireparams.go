package contract

import (
	"fmt"

	"sallyport/internal/wire"
)

// wireParams are an operation's parameters prepared for reading and writing.
type wireParams struct {
	any     bool // there is one outside the body, or something to check in the path
	path    []pathParam
	query   *wire.Params
	headers []*wire.Param
	cookies *wire.Params
	given   []string              // names in the query that the gate inserts
	all     []*wire.Param         // by index of Params; nil for those of the body
	body    map[string]*Parameter // the body's members by their names on the wire
}

// pathParam is a parameter and the segment of the path that it stands in.
type pathParam struct {
	wire.Param
	segment int
}

func (w *wireParams) of(o *Operation, q *Parameter) *wire.Param { return w.all[o.byName[q.Name]] }

// bySegment is the parameter that stands in a segment of the path.
func (w *wireParams) bySegment(o *Operation, segment int) *Parameter {
	for i := range o.Params {
		if q := &o.Params[i]; q.In == InPath && q.Wire == o.segments[segment].param {
			return q
		}
	}
	return nil
}

// prepare makes the tables; the program must be there.
func (o *Operation) prepare() error {
	w := &o.wire
	w.all, w.body = make([]*wire.Param, len(o.Params)), map[string]*Parameter{}
	var query, cookies []wire.Param
	for i := range o.Params {
		q := &o.Params[i]
		if q.In == InBody {
			w.body[q.Wire] = q
			continue
		}
		p := wire.Param{Name: q.Name, Wire: q.Wire, Style: q.style, Shape: o.doc.prog.Shape(q.id)}
		w.all[i] = &p
		if q.Account != "" {
			if q.In == InQuery {
				w.given = append(w.given, q.Wire)
			}
			continue
		}
		w.any = true
		switch q.In {
		case InPath:
			w.path = append(w.path, pathParam{p, o.segmentOf(q.Wire)})
		case InQuery:
			query = append(query, p)
		case InHeader:
			w.headers = append(w.headers, &p)
		case InCookie:
			cookies = append(cookies, p)
		}
	}
	var err error
	if w.query, err = wire.NewParams(query); err != nil {
		return fmt.Errorf("the query: %w", err)
	}
	if len(cookies) > 0 {
		if w.cookies, err = wire.NewParams(cookies); err != nil {
			return fmt.Errorf("the cookies: %w", err)
		}
	}
	if o.RequestType == MultipartType {
		if o.parts, err = wire.NewMultipart(o.doc.prog.Shape(o.bodyID), o.fields); err != nil {
			return err
		}
	}
	return nil
}

// segmentOf is the index of the path's segment that holds a parameter.
func (o *Operation) segmentOf(param string) int {
	for i, s := range o.segments {
		if s.param == param {
			return i
		}
	}
	return 0 // Load refuses a path parameter that is not in the path
}
