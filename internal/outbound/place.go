package outbound

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// apply puts one part on r. Its errors never hold a value.
func (p part) apply(r *Request, values map[string][]byte) error {
	switch p.kind {
	case KindHeader:
		return setHeader(r, p.name, p.value.fill(values))
	case KindBasic:
		user := p.user.fill(values)
		if strings.Contains(user, ":") {
			return errors.New("the user of a Basic credential holds a colon")
		}
		pair := user + ":" + p.password.fill(values)
		return setHeader(r, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case KindQuery:
		return addQuery(r, p.name, p.value.fill(values))
	case KindBody:
		return addBody(r, p.name, p.value.fill(values))
	default:
		return fmt.Errorf("kind %q", p.kind)
	}
}

func setHeader(r *Request, name, value string) error {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return fmt.Errorf("the value for header %s holds a byte that is not visible ASCII", name)
		}
	}
	if strings.TrimSpace(value) != value {
		return fmt.Errorf("the value for header %s begins or ends with a space", name)
	}
	r.Header[http.CanonicalHeaderKey(name)] = []string{value}
	return nil
}

func addQuery(r *Request, name, value string) error {
	have, err := url.ParseQuery(r.RawQuery)
	if err != nil {
		return errors.New("the call's query string is not well-formed")
	}
	if have.Has(name) {
		return fmt.Errorf("the call already has a query parameter %s", name)
	}
	if r.RawQuery != "" {
		r.RawQuery += "&"
	}
	r.RawQuery += url.QueryEscape(name) + "=" + url.QueryEscape(value)
	return nil
}

func addBody(r *Request, name, value string) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && len(r.Body) > 0 {
		return errors.New("the call's body has no media type")
	}
	switch {
	case media == "application/json":
		return addJSON(r, name, value)
	case media == "application/x-www-form-urlencoded", len(r.Body) == 0:
		return addForm(r, name, value)
	default:
		return fmt.Errorf("a body of type %s has no place for a field", media)
	}
}

func addForm(r *Request, name, value string) error {
	have, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return errors.New("the call's form body is not well-formed")
	}
	if have.Has(name) {
		return fmt.Errorf("the call already has a form field %s", name)
	}
	body := bytes.Clone(r.Body)
	if len(body) > 0 {
		body = append(body, '&')
	}
	r.Body = append(body, url.QueryEscape(name)+"="+url.QueryEscape(value)...)
	r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	return nil
}

// addJSON writes the field at the front of the top-level object.
func addJSON(r *Request, name, value string) error {
	body := bytes.TrimLeft(r.Body, " \t\r\n")
	if len(body) == 0 {
		body = []byte("{}")
	}
	var have map[string]json.RawMessage
	if err := json.Unmarshal(body, &have); err != nil || have == nil {
		return errors.New("the call's body is not a JSON object")
	}
	if _, there := have[name]; there {
		return fmt.Errorf("the call already has a JSON field %s", name)
	}
	field, err := json.Marshal(map[string]string{name: value})
	if err != nil {
		return errors.New("the value cannot be written as JSON")
	}
	out := field[:len(field)-1]
	if len(have) > 0 {
		out = append(out, ',')
	}
	r.Body = append(out, body[1:]...)
	return nil
}
