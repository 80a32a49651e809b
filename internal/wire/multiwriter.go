package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// Multipart appends object node as a body of type multipart/form-data. The boundary is made
// of the content, so that the same value gives the same bytes. Files bring names and types
// for file parts; one without a File gets the field's name and first type. The error is a
// *problem.Error of code contract_violation.
func (w *Writer) Multipart(dst []byte, t *tape.Tape, node int, m *Multipart, files []File) (body []byte, boundary string, err error) {
	w.start(nil, t, Repeat, false)
	parts := w.parts(node, m, files)
	if len(w.misfits) > 0 {
		_, err := w.end(nil)
		return dst, "", err
	}
	boundary = boundaryOf(parts)
	for _, p := range parts {
		dst = append(append(append(append(dst, "--"...), boundary...), "\r\n"...), p.head...)
		dst = append(append(append(dst, "\r\n"...), p.content...), "\r\n"...)
	}
	dst = append(append(append(dst, "--"...), boundary...), "--\r\n"...)
	w.out, w.t = nil, nil
	return dst, boundary, nil
}

// MultipartMisfits lists what Multipart would refuse.
func (w *Writer) MultipartMisfits(t *tape.Tape, node int, m *Multipart, files []File) []Misfit {
	w.start(nil, t, Repeat, true)
	w.parts(node, m, files)
	return w.found()
}

// written is one part of a body that is being written.
type written struct{ head, content []byte }

func boundaryOf(parts []written) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p.head)) + " " + strconv.Itoa(len(p.content)) + " "))
		h.Write(p.head)
		h.Write(p.content)
	}
	for {
		b := "sallyport-" + hex.EncodeToString(h.Sum(nil))[:32]
		if !meets(parts, b) {
			return b
		}
		h.Write([]byte{0}) // the content holds its own hash: take another
	}
}

func meets(parts []written, boundary string) bool {
	for _, p := range parts {
		if bytes.Contains(p.content, []byte("--"+boundary)) {
			return true
		}
	}
	return false
}

// parts lists what a body is made of.
func (w *Writer) parts(node int, m *Multipart, files []File) (parts []written) {
	if w.t.Nodes[node].Kind != tape.Object {
		w.misfit(node, w.t.Nodes[node].Kind.String(), "an object: a multipart body is one")
		return nil
	}
	for _, member := range w.ordered(node, m.shape) {
		name := string(w.t.Key(member.node))
		if !partName(name) {
			w.misfit(member.node, "a name that is empty or has quotes, backslashes or control characters", "a name that a multipart body can carry")
			continue
		}
		f := m.field(name)
		if root, _, isPath := strings.Cut(name, "["); isPath && m.field(root).Style == Brackets {
			w.misfit(member.node, "a name that would be read as a structure", "a name without brackets")
			continue
		}
		p := partWriter{w: w, field: f, files: files, parts: parts}
		p.member(member.node, member.kid)
		parts = p.parts
	}
	w.members = w.members[:0]
	if len(parts) > maxParts {
		w.misfit(node, "more than "+strconv.Itoa(maxParts)+" parts", "fewer values")
	}
	return parts
}

func partName(s string) bool {
	return s != "" && headerLine(s) && !strings.ContainsAny(s, "\"\\\t")
}

// partWriter writes the parts of one field.
type partWriter struct {
	w     *Writer
	field Field
	files []File
	parts []written
	index int
}

func (p *partWriter) member(node int, s view) {
	n := &p.w.t.Nodes[node]
	array := n.Kind == tape.Array
	switch {
	case p.field.Style == JSON && !p.field.File:
		p.add(p.field.Name, "application/json", p.w.t.AppendJSON(nil, node))
	case array && p.field.Style == Repeat:
		if !s.may(schema.Array) || n.Count == 0 || n.Count == 1 && !p.field.File && !p.field.asJSON(s) && p.w.readsWhole(node+1, s) {
			p.w.misfit(node, "an array that is empty, or would be read as a plain value", "a plain value, or nothing at all")
			return
		}
		for c, i := node+1, 0; c < int(n.Next); c, i = int(p.w.t.Nodes[c].Next), i+1 {
			if p.field.asJSON(s) {
				p.add(p.field.Name, "application/json", p.w.t.AppendJSON(nil, c))
				continue
			}
			p.text(p.field.Name, c, view{})
		}
	case p.field.Style == Brackets:
		p.brackets(p.field.Name, node, s)
	default:
		p.text(p.field.Name, node, s)
	}
}

// brackets writes a[b] and a[0], as in forms.
func (p *partWriter) brackets(name string, node int, s view) {
	n := &p.w.t.Nodes[node]
	switch {
	case n.Kind < tape.Array:
		p.text(name, node, s)
	case n.Count == 0 || n.Kind == tape.Array && !s.may(schema.Array),
		n.Kind == tape.Object && s.may(schema.Array) && (!s.may(schema.Object) || p.w.allIndexes(node)):
		p.w.misfit(node, "a structure that would be read as something else", "a value that a form can carry")
	case n.Kind == tape.Array:
		for c, i := node+1, 0; c < int(n.Next); c, i = int(p.w.t.Nodes[c].Next), i+1 {
			item := s.item(i)
			p.brackets(name+"["+strconv.Itoa(i)+"]", c, item)
		}
	default:
		from := len(p.w.members)
		for _, m := range p.w.ordered(node, s) {
			key := string(p.w.t.Key(m.node))
			if !partName(key) || strings.ContainsAny(key, "[]") {
				p.w.misfit(m.node, "a name that is empty or has brackets or quotes", "a name that a multipart body can carry")
				continue
			}
			p.brackets(name+"["+key+"]", m.node, m.kid)
		}
		p.w.members = p.w.members[:from]
	}
}

// text writes a scalar, or a file's bytes.
func (p *partWriter) text(name string, node int, s view) {
	kind, text := p.w.t.Nodes[node].Kind, p.w.t.Text(node)
	switch {
	case kind == tape.Null || kind >= tape.Array:
		p.w.misfit(node, "null or a structure", "a plain value")
	case p.field.Style == Repeat && s.may(schema.Array) && (p.field.File || !isWhole(s, text)):
		p.w.misfit(node, "a plain value, which would be read as an array of one", "an array")
	case p.field.File && kind != tape.String:
		p.w.misfit(node, "a value that is no text", "the file's bytes in base64")
	case p.field.File:
		p.file(name, node, text)
	case bytes.IndexByte(text, 0) >= 0:
		p.w.misfit(node, "a NUL character", "text without NUL")
	default:
		p.add(name, "", text)
	}
}

func (p *partWriter) file(name string, node int, text []byte) {
	content, err := base64.StdEncoding.Strict().DecodeString(string(text))
	file := File{Name: name}
	if len(p.field.Types) > 0 && !strings.Contains(p.field.Types[0], "*") {
		file.Type = p.field.Types[0]
	}
	for _, f := range p.files {
		if f.Field == p.field.Name && f.Index == p.index {
			file = f
		}
	}
	p.index++
	switch in := (part{isFile: true, filename: file.Name, media: file.Type, content: content}); {
	case err != nil || bytes.ContainsAny(text, "\r\n"):
		p.w.misfit(node, "text that is not base64", "the file's bytes in base64 (RFC 4648 §4)")
	case p.field.refuses(&in, view{}) != "" || !filename(file.Name) || !headerLine(file.Type):
		p.w.misfit(node, "a file that "+p.field.refuses(&in, view{}), "a file that the contract takes")
	default:
		if file.Type == "" {
			file.Type = "application/octet-stream"
		}
		head := `Content-Disposition: form-data; name="` + name + `"; filename="` + file.Name + "\"\r\nContent-Type: " + file.Type + "\r\n"
		p.parts = append(p.parts, written{[]byte(head), content})
	}
}

func (p *partWriter) add(name, media string, content []byte) {
	head := `Content-Disposition: form-data; name="` + name + "\"\r\n"
	if media != "" {
		head += "Content-Type: " + media + "\r\n"
	}
	p.parts = append(p.parts, written{[]byte(head), content})
}
