package wire

import "fmt"

// Style says how the arrays and objects of a form or parameter are written.
type Style uint8

// The styles. Forms take Brackets and Repeat.
const (
	// Brackets: a[b]=x, a[0]=x; a[]=x is read as well. OpenAPI's deepObject, and the forms
	// of Stripe.
	Brackets Style = iota
	// Repeat: a=x&a=y; the members of an object stand beside it under their own names. It
	// is OpenAPI's form with explode. In the body of a form it takes no objects.
	Repeat
	Commas // a=x,y: form without explode
	Spaces // a=x%20y: spaceDelimited
	Pipes  // a=x%7Cy: pipeDelimited
	JSON   // the value is JSON text: content application/json
	Simple // x,y and R,1,G,2: of a path or header
	// SimpleExploded: x,y and R=1,G=2.
	SimpleExploded
	Label // .x,y (RFC 6570 §3.2.5)
	// LabelExploded: .x.y and .R=1.G=2.
	LabelExploded
	Matrix // ;a=x,y (RFC 6570 §3.2.7)
	// MatrixExploded: ;a=x;a=y and ;R=1;G=2.
	MatrixExploded
)

// In says where a parameter travels.
type In uint8

// The places of parameters.
const (
	InQuery In = iota
	InPath
	InHeader
	InCookie
)

// String is OpenAPI's word.
func (i In) String() string { return [...]string{"query", "path", "header", "cookie"}[i] }

// StyleOf reads OpenAPI's style and explode (nil where it is not given) of a parameter.
func StyleOf(in In, style string, explode *bool) (Style, error) {
	if style == "" {
		style = map[In]string{InQuery: "form", InPath: "simple", InHeader: "simple", InCookie: "form"}[in]
	}
	exploded := style == "form" || style == "cookie" || style == "deepObject"
	if explode != nil {
		exploded = *explode
	}
	plain, other := Style(0), Style(0)
	switch {
	case style == "form" && (in == InQuery || in == InCookie), style == "cookie" && in == InCookie:
		plain, other = Commas, Repeat
	case style == "spaceDelimited" && in == InQuery:
		plain, other = Spaces, Repeat
	case style == "pipeDelimited" && in == InQuery:
		plain, other = Pipes, Repeat
	case style == "deepObject" && in == InQuery:
		plain, other = Brackets, Brackets
	case style == "simple" && (in == InPath || in == InHeader):
		plain, other = Simple, SimpleExploded
	case style == "label" && in == InPath:
		plain, other = Label, LabelExploded
	case style == "matrix" && in == InPath:
		plain, other = Matrix, MatrixExploded
	default:
		return 0, fmt.Errorf("style %q is not possible in %s; write %s", style, in, map[In]string{
			InQuery: "form, spaceDelimited, pipeDelimited or deepObject", InPath: "simple, label or matrix", InHeader: "simple", InCookie: "form"}[in])
	}
	if exploded {
		return other, nil
	}
	return plain, nil
}

// item is the byte between elements; 0 where a style has none.
func (s Style) item() byte {
	switch s {
	case Commas, Simple, SimpleExploded, Label, Matrix:
		return ','
	case Spaces:
		return ' '
	case Pipes:
		return '|'
	case LabelExploded:
		return '.'
	case MatrixExploded:
		return ';'
	}
	return 0
}

// pairs reports whether members are written name=value.
func (s Style) pairs() bool { return s == SimpleExploded || s == LabelExploded || s == MatrixExploded }
