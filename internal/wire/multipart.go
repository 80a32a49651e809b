package wire

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// Bounds of multipart bodies.
const (
	maxParts    = 1_000
	maxPartHead = 4_096 // bytes of one part's header
	maxFilename = 255
)

// Field says how one member of a multipart/form-data body is written (RFC 7578; OpenAPI's
// encoding object).
type Field struct {
	Name  string
	Style Style // Repeat, Brackets or JSON
	// File: the part is bytes. In the tape they are a string of base64 (RFC 4648 §4).
	File bool
	// Types are the content types that the part may have, such as application/pdf or
	// image/*; the first is written where a file brings none. None: for a file every type,
	// for other parts the one that its style has.
	Types []string
	Max   int // bytes of a file; 0 for no bound but the body's
}

// Multipart is how a body's fields are written. It is read-only.
type Multipart struct {
	shape  view
	fields map[string]Field
}

// NewMultipart prepares the fields of a body that has shape s. A member without a Field is
// written as text if it can be text, repeated if it is an array, and as JSON otherwise.
func NewMultipart(s schema.Shape, fields []Field) (*Multipart, error) {
	m := &Multipart{shape: viewOf(s), fields: map[string]Field{}}
	for _, f := range fields {
		if f.Style != Repeat && f.Style != Brackets && f.Style != JSON {
			return nil, fmt.Errorf("the field %s of a multipart body has a style that such bodies do not have", f.Name)
		}
		if _, twice := m.fields[f.Name]; twice {
			return nil, fmt.Errorf("the field %s of a multipart body is described twice", f.Name)
		}
		m.fields[f.Name] = f
	}
	return m, nil
}

func (m *Multipart) field(name string) Field {
	if f, ok := m.fields[name]; ok {
		return f
	}
	kid, _ := m.shape.member([]byte(name))
	f := Field{Name: name, Style: Repeat}
	if kid.structured() {
		f.Style = JSON
	}
	return f
}

// asJSON reports whether one value of a field is written as JSON.
func (f Field) asJSON(s view) bool {
	item := s.item(0)
	return f.Style == JSON || f.Style == Repeat && !f.File && s.may(schema.Array) && item.structured()
}

// File is what a file part says beside its bytes.
type File struct {
	Field string
	Index int    // among the values of the field
	Name  string // the filename; it never has slashes, quotes or control characters
	Type  string // its content type, as it was written
}

// Boundary reads the Content-Type of a multipart/form-data body.
func Boundary(contentType string) (string, error) {
	media, params, err := mime.ParseMediaType(contentType)
	b := params["boundary"]
	if err != nil || media != "multipart/form-data" || !validBoundary(b) {
		return "", problem.New(problem.MediaType, "the body's Content-Type is not multipart/form-data with a boundary").
			WithHint("send Content-Type: multipart/form-data; boundary=…, with a boundary of 1 to 70 letters, digits and '()+_,-./:=?")
	}
	return b, nil
}

// validBoundary is the grammar of RFC 2046 §5.1.1.
func validBoundary(b string) bool {
	return b != "" && len(b) <= 70 && b[len(b)-1] != ' ' && strings.IndexFunc(b, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("'()+_,-./:=? ", c))
	}) < 0
}

// part is one part on its way from the body into the places.
type part struct {
	name, filename, media string
	isFile                bool // it has a filename
	content               []byte
}

// Multipart reads a body of type multipart/form-data as one object, added to b. Members that
// m does not know are there as well. files tells the names and types of the file parts, in
// the order of the body. The error is a *problem.Error of code bad_body.
func (r *Reader) Multipart(b *tape.Builder, body []byte, boundary string, m *Multipart) (files []File, err error) {
	r.start(problem.BadBody, Repeat)
	p := partReader{rest: body, line: []byte("--" + boundary)}
	for {
		next, more, fault := p.next()
		if fault != "" {
			return nil, problem.New(r.code, "%s %s", p.where(), fault).WithHint("write it as RFC 7578 says")
		}
		if !more {
			break
		}
		if files, err = r.addPart(&next, m, files); err != nil {
			return nil, err
		}
	}
	b.BeginObject()
	for k := r.places[0].kids; k != 0; k = r.places[k].next {
		name := r.nameOf(k)
		kid, _ := m.shape.member(name)
		r.style = m.field(string(name)).Style
		b.Key(name)
		if err := r.read(b, k, kid); err != nil {
			return nil, err
		}
	}
	b.End()
	return files, r.blame(b)
}

func (r *Reader) keep(text []byte) span {
	from := len(r.text)
	r.text = append(r.text, text...)
	return span{uint32(from), uint32(len(r.text))}
}

// addPart puts a part's value at its place.
func (r *Reader) addPart(p *part, m *Multipart, files []File) ([]File, error) {
	key := r.keep([]byte(p.name))
	f := m.field(p.name)
	k, err := r.partPlace(key, &f, m)
	if err != nil {
		return nil, err
	}
	shown := tape.ShowName(p.name)
	kid, _ := m.shape.member([]byte(f.Name))
	if fault := f.refuses(p, kid); fault != "" {
		return nil, refuse(r.code, "the part %s %s", shown, fault)
	}
	text, kind := span{}, textValue
	switch {
	case f.File:
		from := len(r.text)
		r.text = base64.StdEncoding.AppendEncode(r.text, p.content)
		text = span{uint32(from), uint32(len(r.text))}
		kind = fileValue
	case f.asJSON(kid):
		text, kind = r.keep(p.content), jsonValue
	default:
		text = r.keep(p.content)
	}
	if k == 0 || !r.addValue(k, text) {
		return nil, refuse(r.code, "the body names %s both as a value and as a structure", shown)
	}
	r.values[len(r.values)-1].kind = kind
	if f.File {
		files = append(files, File{f.Name, int(r.places[k].values) - 1, p.filename, p.media})
	}
	return files, nil
}

// partPlace finds the place of a part; f becomes the field that it belongs to.
func (r *Reader) partPlace(key span, f *Field, m *Multipart) (int32, error) {
	if _, exact := m.fields[f.Name]; !exact {
		if root, rest, ok := r.cutKey(key); ok && rest.off < rest.end {
			if field := m.field(string(r.text[root.off:root.end])); field.Style == Brackets {
				*f = field
				k, err := r.below(0, root)
				if err != nil || k == 0 {
					return k, err
				}
				return r.descend(k, rest)
			}
		}
	}
	return r.below(0, key)
}

// refuses says in words why a part is not one of the field.
func (f Field) refuses(p *part, s view) string {
	media, params, err := "", map[string]string(nil), error(nil)
	if p.media != "" {
		media, params, err = mime.ParseMediaType(p.media)
	}
	switch {
	case err != nil:
		return "has a Content-Type that is none"
	case f.File && f.Max > 0 && len(p.content) > f.Max:
		return fmt.Sprintf("has %d bytes; at most %d may be sent", len(p.content), f.Max)
	case f.File && !typeListed(f.Types, media) && media == "":
		return "has no Content-Type; it may have " + strings.Join(f.Types, ", ")
	case f.File && !typeListed(f.Types, media):
		return "has the Content-Type " + tape.ShowName(media) + "; it may have " + strings.Join(f.Types, ", ")
	case f.File:
		return ""
	case p.isFile:
		return "is a file; the contract wants a plain value"
	case params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8"):
		return "is not in UTF-8"
	case f.asJSON(s) && media != "" && media != "application/json":
		return "has the Content-Type " + tape.ShowName(media) + "; it may have application/json"
	case !f.asJSON(s) && media != "" && media != "text/plain":
		return "has the Content-Type " + tape.ShowName(media) + "; it may have text/plain"
	case !utf8.Valid(p.content):
		return "is not in UTF-8"
	case bytes.IndexByte(p.content, 0) >= 0:
		return "holds a NUL character"
	}
	return ""
}

// typeListed compares a media type with a list that may have image/* in it. A file without
// a type is application/octet-stream.
func typeListed(list []string, media string) bool {
	if media == "" {
		media = "application/octet-stream"
	}
	for _, allowed := range list {
		group, wild := strings.CutSuffix(allowed, "/*")
		if strings.EqualFold(allowed, media) || allowed == "*/*" || wild && strings.HasPrefix(media, group+"/") {
			return true
		}
	}
	return len(list) == 0
}
