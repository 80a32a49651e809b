package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"sallyport/internal/problem"
)

// Encode writes the request for the provider. account holds the connection's
// non-secret credential fields, for the parameters that the gate inserts. The same Args
// always give the same bytes, in the order of the contract, and different Args give
// different bytes: what the provider's parser reads is exactly Args. A value that could
// be read as something else at its place is refused with a *problem.Error; a missing
// account field is an ordinary error.
func (o *Operation) Encode(a Args, account map[string]string) (Output, error) {
	out := Output{Header: http.Header{}}
	values := make(map[string]any, len(a.tree))
	for name, v := range a.tree {
		if _, ok := o.Param(name); !ok && !o.openBody() {
			return Output{}, refuse(problem.ContractViolation, "%s has no parameter %s", o.ID, showName(name))
		}
		values[name] = v
	}
	for i := range o.Params {
		q := &o.Params[i]
		if q.Account == "" {
			continue
		}
		field, ok := account[q.Account]
		if !ok || field == "" {
			return Output{}, fmt.Errorf("encode %s: the connection has no credential field %s", o.ID, q.Account)
		}
		values[q.Name] = field
	}
	if err := o.encodeTarget(&out, values); err != nil {
		return Output{}, err
	}
	if err := o.encodeBody(&out, values); err != nil {
		return Output{}, err
	}
	return out, nil
}

// encodeTarget writes path, query and header parameters.
func (o *Operation) encodeTarget(out *Output, values map[string]any) error {
	inPath := map[string]string{}
	var query formWriter
	for i := range o.Params {
		q := &o.Params[i]
		v, ok := values[q.Name]
		if !ok || q.In == InBody {
			continue
		}
		if _, want := wireFault(q, v); want != "" {
			return refuse(problem.ContractViolation, "%s cannot be written in the %s; write %s", q.Name, q.In, want)
		}
		switch q.In {
		case InPath:
			inPath[q.Wire] = joined(v, escape)
		case InHeader:
			out.Header.Set(q.Wire, joined(v, func(s string) string { return s }))
		case InQuery:
			if err := query.param(q, v); err != nil {
				return err
			}
		}
	}
	out.RawQuery = query.String()
	var path strings.Builder
	for _, s := range o.segments {
		path.WriteString("/" + escapeLiteral(s.before))
		if s.param != "" {
			if inPath[s.param] == "" {
				return refuse(problem.ContractViolation, "the path parameter %s is missing", s.param)
			}
			path.WriteString(inPath[s.param] + escapeLiteral(s.after))
		}
	}
	out.Path = path.String()
	return nil
}

func (o *Operation) encodeBody(out *Output, values map[string]any) error {
	var body any
	if o.whole {
		v, ok := values["body"]
		if !ok {
			return nil
		}
		body = v
	} else {
		m := o.bodyWithAccount(values)
		if m == nil && !o.BodyRequired {
			return nil
		}
		if m == nil {
			m = map[string]any{}
		}
		body = m
	}
	out.ContentType = o.RequestType
	if o.RequestType == JSONType {
		text, err := appendJSON(nil, body, []*Schema{o.body})
		if err != nil {
			return refuse(problem.ContractViolation, "the body cannot be written: %v", err)
		}
		out.Body = text
		return nil
	}
	var form formWriter
	parts := flatten([]*Schema{o.body})
	m, _ := body.(map[string]any)
	for _, name := range orderKeys(propertyNames(parts), m) {
		kids, _ := members(parts, name)
		if err := form.value(name, m[name], kids, o.form); err != nil {
			return err
		}
	}
	out.Body = []byte(form.String())
	return nil
}

func (o *Operation) bodyWithAccount(values map[string]any) map[string]any {
	body := o.bodyOf(values)
	for i := range o.Params {
		if q := &o.Params[i]; q.In == InBody && q.Account != "" {
			if body == nil {
				body = map[string]any{}
			}
			body[q.Wire] = values[q.Name]
		}
	}
	return body
}

// formWriter writes name=value pairs with &.
type formWriter struct{ strings.Builder }

func (f *formWriter) pair(key, value string) {
	if f.Len() > 0 {
		f.WriteByte('&')
	}
	f.WriteString(escape(key) + "=" + value)
}

func (f *formWriter) param(q *Parameter, v any) error {
	if list, ok := v.([]any); ok && q.style == asCommas {
		f.pair(q.Wire, joined(list, escape))
		return nil
	}
	return f.value(q.Wire, v, []*Schema{q.Schema}, q.style)
}

// value writes v below key. Arrays are written with indexes in brackets, or repeated.
func (f *formWriter) value(key string, v any, ss []*Schema, style formStyle) error {
	impossible := func(what string) error {
		return refuse(problem.ContractViolation, "%s below %s cannot be written in a form", what, showName(key))
	}
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return impossible("an empty array")
		}
		for i := range v {
			below := key + "[" + itoa(i) + "]"
			if style != asBrackets {
				below = key
				if _, ok := scalarText(v[i]); !ok {
					return impossible("a structure in an array")
				}
			}
			if err := f.value(below, v[i], elements(flatten(ss)), style); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		if len(v) == 0 || style != asBrackets {
			return impossible("an object")
		}
		parts := flatten(ss)
		for _, name := range orderKeys(propertyNames(parts), v) {
			if name == "" || strings.ContainsAny(name, "[]") {
				return impossible("a name that is empty or has brackets")
			}
			kids, _ := members(parts, name)
			if err := f.value(key+"["+name+"]", v[name], kids, style); err != nil {
				return err
			}
		}
		return nil
	}
	s, ok := scalarText(v)
	if !ok || !utf8.ValidString(s) || !utf8.ValidString(key) {
		return impossible("null or text that is not UTF-8")
	}
	f.pair(key, escape(s))
	return nil
}

// scalarText is a string, number or boolean as it stands in a path, query or form.
func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return string(v), numberShape(string(v)) != notNumber
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

func joined(v any, escape func(string) string) string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	words := make([]string, len(list))
	for i := range list {
		s, _ := scalarText(list[i])
		words[i] = escape(s)
	}
	return strings.Join(words, ",")
}

// escape keeps only the unreserved characters of RFC 3986 §2.3; a space is %20, which
// every decoder of queries and forms reads as a space.
func escape(s string) string { return escapeBut(s, "-._~") }

// escapeLiteral is for the template's own text, where providers use : and @.
func escapeLiteral(s string) string { return escapeBut(s, "-._~:@!$&'()*+,;=") }

func escapeBut(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// appendJSON writes v with the members of objects in the order of ss, the rest sorted.
func appendJSON(dst []byte, v any, ss []*Schema) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool, json.Number:
		s, ok := scalarText(v)
		if !ok {
			return nil, fmt.Errorf("a number is not written as JSON writes numbers")
		}
		return append(dst, s...), nil
	case string:
		return appendString(dst, v)
	case []any:
		dst = append(dst, '[')
		items := elements(flatten(ss))
		for i := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, v[i], items); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		return appendObject(dst, v, flatten(ss))
	}
	return nil, fmt.Errorf("a value of a type that JSON does not have")
}

func appendObject(dst []byte, m map[string]any, parts []*Schema) ([]byte, error) {
	var err error
	dst = append(dst, '{')
	for i, name := range orderKeys(propertyNames(parts), m) {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendString(dst, name); err != nil {
			return nil, err
		}
		kids, _ := members(parts, name)
		if dst, err = appendJSON(append(dst, ':'), m[name], kids); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("text that is not UTF-8")
	}
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c == 0x7f:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"'), nil
}
