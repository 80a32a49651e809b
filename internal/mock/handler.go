package mock

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
)

// maxRequest bounds the body of a request to Handler: 1 MiB.
const maxRequest = 1 << 20

// Handler speaks the provider's own HTTP API, so that a gate's whole way out can be tried
// against it: paths, encodings, where the credential stands, error shapes and statuses are
// those of the contract. Any credential in the right place opens it; none is answered
// with 401. It is safe for concurrent use.
func (p *Provider) Handler() http.Handler {
	return http.HandlerFunc(p.serve)
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		p.refuse(w, nil, http.StatusRequestEntityTooLarge, "The request is too large.")
		return
	}
	op, allowed := p.pack.Contract().Route(r.Method, r.URL.EscapedPath())
	switch {
	case op == nil && len(allowed) > 0:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		p.refuse(w, nil, http.StatusMethodNotAllowed, "The method is not allowed here.")
		return
	case op == nil:
		p.refuse(w, nil, http.StatusNotFound, "There is nothing at this address.")
		return
	}
	query, ok := authorised(p.pack.Auth[op.Auth], r)
	if !ok {
		p.refuse(w, op, http.StatusUnauthorized, "The request carries no credential.")
		return
	}
	args, faults, err := op.Parse(contract.Input{Path: r.URL.EscapedPath(), RawQuery: query, Header: contractHeaders(op, r.Header),
		ContentType: r.Header.Get("Content-Type"), Body: body})
	if err != nil {
		p.refuse(w, op, http.StatusBadRequest, safeDetail(err))
		return
	}
	if faults = append(faults, op.Check(args)...); len(faults) > 0 {
		p.refuse(w, op, http.StatusBadRequest, faults[0].Where+": "+faults[0].Want)
		return
	}
	status, header, answer := p.Answer(op, args)
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer) // the caller went away: nothing to do
}

// authorised says whether a credential stands where the provider reads it, and returns
// the query without it.
func authorised(a provider.Auth, r *http.Request) (query string, ok bool) {
	query, ok = r.URL.RawQuery, true
	for _, place := range append([]provider.Auth{a}, a.Also...) {
		switch place.Kind {
		case "header":
			fixed, _, _ := strings.Cut(place.Value, "{")
			got := r.Header.Get(place.Name)
			ok = ok && strings.HasPrefix(got, fixed) && len(got) > len(fixed)
		case "basic":
			user, password, given := r.BasicAuth()
			ok = ok && given && user != "" && password != ""
		case "query":
			ok = ok && r.URL.Query().Get(place.Name) != ""
			query = without(query, place.Name)
		}
	}
	return query, ok
}

// without takes a parameter out of a raw query and leaves the others as they were.
func without(query, name string) string {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(key); err == nil && plain == name {
			continue
		}
		kept = append(kept, part)
	}
	return strings.Join(kept, "&")
}

// contractHeaders are the headers that the operation has as parameters.
func contractHeaders(op *contract.Operation, from http.Header) http.Header {
	out := http.Header{}
	for _, p := range op.Params {
		if v := from.Values(p.Wire); p.In == contract.InHeader && len(v) > 0 {
			out[http.CanonicalHeaderKey(p.Wire)] = v
		}
	}
	return out
}

func safeDetail(err error) string {
	var e *problem.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return "The request could not be read."
}

// refuse answers in the provider's error shape where the operation is known.
func (p *Provider) refuse(w http.ResponseWriter, op *contract.Operation, status int, message string) {
	tree := map[string]any{}
	if op != nil && op.Schema(status) != nil {
		p.mu.Lock()
		raw := p.errorBody(op, status)
		p.mu.Unlock()
		if err := json.Unmarshal(raw, &tree); err != nil {
			tree = map[string]any{}
		}
	}
	shape := p.pack.Errors
	if op != nil {
		shape = p.pack.ErrorsOf(op.ID)
	}
	setText(tree, shape.Message, message)
	body, err := json.Marshal(tree)
	if err != nil { // a tree of JSON values: cannot happen
		body = []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// setText writes a text at a dotted path, making the objects on the way.
func setText(tree map[string]any, path, text string) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		next, ok := tree[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			tree[name] = next
		}
		tree = next
	}
	if last := names[len(names)-1]; last != "" {
		tree[last] = text
	}
}
