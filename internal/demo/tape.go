package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/provider"
)

const (
	tapeLength = 200     // passages kept; the oldest go first
	tapeBody   = 1 << 18 // bytes of a body that are kept
)

// passage is one request as a provider's mock received it, and what it answered. Keys in
// it are masked before it is kept.
type passage struct {
	N          int             `json:"n"`
	Provider   string          `json:"provider"`
	Connection string          `json:"connection"`
	Method     string          `json:"method"`
	Path       string          `json:"path"`
	Headers    []pair          `json:"headers"`
	Fields     []pair          `json:"fields"` // query and body, in order
	Status     int             `json:"status"`
	Answer     json.RawMessage `json:"answer"`
	// Sensitive says what the contract says of fields of the answer: data[].userAgent is
	// personal, client_secret is secret.
	Sensitive map[string]string `json:"sensitive"`
}

// pair is a header or a field. Key says that it is the credential.
type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	In    string `json:"in"` // header, query, body
	Key   bool   `json:"key,omitempty"`
}

// tape keeps the last passages. It is safe for concurrent use.
type tape struct {
	mu   sync.Mutex
	n    int
	kept []passage
}

func newTape() *tape { return &tape{} }

func (t *tape) add(p passage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	p.N = t.n
	t.kept = append(t.kept, p)
	if len(t.kept) > tapeLength {
		t.kept = slices.Delete(t.kept, 0, 1)
	}
}

// after lists the passages with a number above n, and the newest number.
func (t *tape) after(n int) ([]passage, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []passage{}
	for _, p := range t.kept {
		if p.N > n {
			out = append(out, p)
		}
	}
	return out, t.n
}

// recorder writes what passes a handler onto the tape.
type recorder struct {
	tape *tape
	conn connection
	pack *provider.Pack
	next http.Handler
}

func (c *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, tapeBody))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	out := &keeper{ResponseWriter: w, status: http.StatusOK}
	c.next.ServeHTTP(out, r)
	p := passage{Provider: c.pack.Name, Connection: c.conn.name, Method: r.Method, Path: r.URL.EscapedPath(),
		Headers: c.headers(r), Fields: append(formPairs(r.URL.RawQuery, "query"), bodyPairs(r.Header.Get("Content-Type"), body)...),
		Status: out.status}
	if json.Valid(out.kept.Bytes()) {
		p.Answer = bytes.Clone(out.kept.Bytes())
		p.Sensitive = c.sensitive(r, out)
	}
	for i := range p.Fields {
		p.Fields[i].Value, p.Fields[i].Key = c.mask(p.Fields[i].Value)
	}
	c.tape.add(p)
}

// sensitive reads the contract's marks for what was answered.
func (c *recorder) sensitive(r *http.Request, out *keeper) map[string]string {
	op, _ := c.pack.Contract().Route(r.Method, r.URL.EscapedPath())
	if op == nil {
		return nil
	}
	reply, _, err := op.CheckResponse(out.status, out.Header().Get("Content-Type"), out.kept.Bytes(), nil)
	if err != nil {
		return nil
	}
	marks := map[string]string{}
	for kind, paths := range reply.Sensitive {
		for _, path := range paths {
			marks[path] = string(kind)
		}
	}
	return marks
}

// headers are those that say something; the rest is transport.
func (c *recorder) headers(r *http.Request) []pair {
	var out []pair
	for _, name := range []string{"Authorization", "Stripe-Version", "Idempotency-Key", "Content-Type", "Origin", "Cookie", "Referer", "User-Agent", "X-Forwarded-For"} {
		for _, v := range r.Header.Values(name) {
			masked, key := c.mask(v)
			out = append(out, pair{Name: name, Value: masked, In: "header", Key: key})
		}
	}
	return out
}

const dots = "••••••••"

// mask replaces the connection's keys by dots after the part by which a reader knows them.
func (c *recorder) mask(v string) (string, bool) {
	if encoded, ok := strings.CutPrefix(v, "Basic "); ok {
		plain, err := base64.StdEncoding.DecodeString(encoded)
		user, _, cut := strings.Cut(string(plain), ":")
		if err != nil || !cut {
			return "Basic " + dots, true
		}
		return "Basic " + user[:min(6, len(user))] + "…:" + dots, true
	}
	for _, s := range c.conn.secrets {
		if strings.Contains(v, s.value) {
			return strings.ReplaceAll(v, s.value, s.prefix+dots), true
		}
	}
	return v, false
}

// formPairs reads name=value pairs in the order in which they were sent.
func formPairs(raw, in string) []pair {
	var out []pair
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		plainName, err1 := url.QueryUnescape(name)
		plainValue, err2 := url.QueryUnescape(value)
		if part != "" && err1 == nil && err2 == nil {
			out = append(out, pair{Name: plainName, Value: plainValue, In: in})
		}
	}
	return out
}

// bodyPairs reads a form, or the members of a JSON object.
func bodyPairs(contentType string, body []byte) []pair {
	if strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		return formPairs(string(body), "body")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	var out []pair
	for d.More() {
		name, err := d.Token()
		var raw json.RawMessage
		if err != nil || d.Decode(&raw) != nil {
			return out
		}
		out = append(out, pair{Name: name.(string), Value: strings.Trim(string(raw), `"`), In: "body"})
	}
	return out
}

// keeper keeps a copy of an answer.
type keeper struct {
	http.ResponseWriter
	status int
	kept   bytes.Buffer
}

func (k *keeper) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

func (k *keeper) Write(b []byte) (int, error) {
	if k.kept.Len()+len(b) <= tapeBody {
		k.kept.Write(b)
	}
	return k.ResponseWriter.Write(b)
}
