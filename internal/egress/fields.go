package egress

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"slices"

	"sallyport/internal/problem"
)

// maxKeyBody bounds a body that is read to find a key in it, before the caller is known.
const maxKeyBody = 64 << 10

// bodyFields are the fields of a form, or the members of a JSON object, among which a key
// may stand. The zero bodyFields holds none.
type bodyFields struct {
	form    string // a form's text
	members []member
	object  bool // of JSON, even where it has no members
}

// member is one member of an object, as it was written.
type member struct {
	name  string
	text  []byte // name, colon and value
	value string // of a string
}

// body reads the call's body, once: who asks again gets the same bytes.
func (x *exchange) body(limit int64) ([]byte, error) {
	if !x.bodyRead {
		body, err := x.call.ReadBody(limit)
		if err != nil {
			return nil, err
		}
		x.bodyRead, x.rawBody, x.bytesIn = true, body, len(body)
	}
	if int64(len(x.rawBody)) > limit {
		return nil, problem.New(problem.BodyTooLarge, "the body is larger than %d bytes", limit)
	}
	return x.rawBody, nil
}

// readFields reads the body where the provider's key would stand in one of its fields, and
// nothing stands at the other places.
func (x *exchange) readFields(conn *connection) error {
	if !conn.keyInBody || x.bodyRead || x.grant != nil || x.elsewhere(conn) {
		return nil
	}
	kind, _, err := mime.ParseMediaType(x.call.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" && kind != "application/json" {
		return nil
	}
	body, err := x.body(maxKeyBody)
	if err != nil {
		return err
	}
	if kind == "application/json" {
		x.fields = readMembers(body)
	} else {
		x.fields = bodyFields{form: string(body)}
	}
	return nil
}

// readMembers takes an object apart. What is no object has no members: the contract will say
// what is wrong with it.
func readMembers(body []byte) bodyFields {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bodyFields{}
	}
	f := bodyFields{object: true}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return bodyFields{}
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return bodyFields{}
		}
		m := member{}
		m.name, _ = name.(string) // a member's name always is one
		key, err := json.Marshal(m.name)
		if err != nil {
			return bodyFields{}
		}
		m.text = append(append(key, ':'), raw...)
		if raw[0] == '"' && json.Unmarshal(raw, &m.value) != nil {
			return bodyFields{}
		}
		f.members = append(f.members, m)
	}
	if _, err := d.Token(); err != nil {
		return bodyFields{}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return bodyFields{}
	}
	return f
}

// value is the text of a field; ok is false where there is none.
func (f bodyFields) value(name string) (string, bool) {
	for _, m := range f.members {
		if m.name == name && m.value != "" {
			return m.value, true
		}
	}
	return queryValue(f.form, name)
}

// without is the body without the named fields; all else stays as it was written, so that
// what the contract refuses, a name that stands twice, is still there to be refused.
func (f bodyFields) without(body []byte, names []string) []byte {
	if len(names) == 0 {
		return body
	}
	if !f.object {
		return []byte(withoutQuery(string(body), names))
	}
	out := []byte{'{'}
	for _, m := range f.members {
		if slices.Contains(names, m.name) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, m.text...)
	}
	return append(out, '}')
}
