package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/mock"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// upstream is a provider's mock on an address of its own, over TLS.
type upstream struct {
	*listener
	conn  connection
	name  string
	polls *answers
}

type upstreamParts struct {
	authority *authority
	tape      *tape
	phone     *phone
}

// openUpstream listens; the mock answers from the provider's contract, and the tour adds
// what a contract cannot know: that a wrong code is wrong, where Delft lies.
func openUpstream(c connection, pack *provider.Pack, with upstreamParts) (*upstream, error) {
	cert, err := with.authority.issue(pack.Name)
	if err != nil {
		return nil, err
	}
	l, err := listen(0, cert)
	if err != nil {
		return nil, err
	}
	u := &upstream{listener: l, conn: c, name: pack.Name, polls: &answers{}}
	from := mock.New(pack, site.MockFaults{Seed: uint64(time.Now().UnixNano())}, time.Now).Handler()
	l.handler = &recorder{tape: with.tape, conn: c, pack: pack, next: &behaviour{next: from, rules: []rule{
		{provider: "stripe", method: http.MethodPost, path: "/v1/payment_intents", change: confirmed},
		{provider: "google-maps", method: http.MethodGet, path: "/maps/api/geocode/json", change: located},
		{provider: "twilio", method: http.MethodPost, path: "/Verifications", change: with.phone.ring},
		{provider: "twilio", method: http.MethodPost, path: "/VerificationCheck", change: with.phone.compare},
		{provider: "zigpoll", method: http.MethodGet, path: "/responses", change: u.polls.list},
	}, provider: pack.ID}}
	return u, nil
}

// rule changes a good answer of one operation; fields are the request's query and form.
type rule struct {
	provider, method, path string // path: how it ends
	change                 func(answer map[string]any, fields url.Values)
}

type behaviour struct {
	next     http.Handler
	provider string
	rules    []rule
}

func (b *behaviour) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	b.next.ServeHTTP(answer, r)
	out := answer.Body.Bytes()
	if answer.Code < 300 {
		out = b.changed(r, body, out)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(out) // the gate went away: nothing to do
}

func (b *behaviour) changed(r *http.Request, body, answer []byte) []byte {
	for _, rule := range b.rules {
		if rule.provider != b.provider || rule.method != r.Method || !strings.HasSuffix(r.URL.Path, rule.path) {
			continue
		}
		var tree map[string]any
		if json.Unmarshal(answer, &tree) != nil {
			return answer
		}
		rule.change(tree, requestFields(r, body))
		if changed, err := json.Marshal(tree); err == nil {
			return changed
		}
	}
	return answer
}

// accountField is where requestFields puts the user of Basic credentials.
const accountField = "(account)"

func requestFields(r *http.Request, body []byte) url.Values {
	fields := r.URL.Query()
	if form, err := url.ParseQuery(string(body)); err == nil {
		for name, values := range form {
			fields[name] = values
		}
	}
	if user, _, ok := r.BasicAuth(); ok {
		fields.Set(accountField, user)
	}
	return fields
}
