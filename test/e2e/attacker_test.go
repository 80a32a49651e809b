package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	helper "sallyport/backend/go"
	"sallyport/internal/contract"
	"sallyport/internal/mock"
	"sallyport/internal/provider"
	"sallyport/internal/site"
	"sallyport/test/harness"
)

// TestAttacker plays somebody with a valid session who is no browser but a script: against
// each provider of the catalog, by operations of its own, he changes what the site fixed or
// its backend sealed, uses permits that are not his or not for this, names objects that other
// visits received in every place and spelling, chooses another account, leads visitors
// elsewhere, and cheats with receipts. Each attempt is refused with the code that the
// documentation names, nothing of it reaches the provider, and the audit log has it.
func TestAttacker(t *testing.T) {
	a := startAttack(t)
	for _, target := range attackTargets() {
		t.Run(target.provider, func(t *testing.T) {
			a.prepare(t, target)
			t.Run("permits", func(t *testing.T) { a.permits(t, target) })
			t.Run("ids", func(t *testing.T) { a.ids(t, target) })
			t.Run("rows", func(t *testing.T) { a.rows(t, target.rows) })
			t.Run("receipts", func(t *testing.T) { a.receipts(t, target) })
			t.Run("honest", func(t *testing.T) { a.honest(t, target) }) // what is refused above is no ban
		})
	}
	a.audited(t)
}

// attackTarget is one provider with what a site would let browsers do there.
type attackTarget struct {
	provider, mode string
	credentials    string // in the file; $NAME is a variable
	browser        string // the rules
	sealed         sealedCall
	gives          []giver
	places         []idPlace
	rows           []attackRow
	noIDs          bool // no operation takes one
}

// sealedCall is a call that needs a permit, and what somebody tries beside it.
type sealedCall struct {
	operation, method, path, body string
	sealed                        map[string]any
	beside                        []string // bodies, or paths that begin with /, that write the sealed or fixed values themselves
}

// giver is a call whose answer gives the visit an id, found by match.
type giver struct {
	name, method, path, body string
	match                    string
	permit                   bool // by the sealed call
	invented                 string
}

// idPlace is a call that takes an id where {id} stands; {own} is one that the visit received.
type idPlace struct{ gives, method, path, body string }

// attackRow is one attempt with the code that refuses it. {victim.NAME} is another visit's id.
type attackRow struct {
	name, method, path, body string
	header                   [2]string
	code                     string
}

// attacker is a running gate in front of all providers.
type attacker struct {
	gate       *harness.Gate
	upstreams  map[string]*harness.Upstream
	keys       map[string]string // by site
	mine       string            // tokens
	victim     string
	elsewhere  string // at the site blog
	own, their map[string]string
	shared     map[string]bool   // both visits received the same
	refused    map[string]string // request id → code
	sent       map[string]int    // by provider: what honest calls sent
}

const attackHead = `version: 1
listen:
  public: "127.0.0.1:0"
  tls: off
store: "sqlite:./data/sallyport.db"
secrets:
  keystore: ./data/keystore.age
sites:
`

func startAttack(t *testing.T) *attacker {
	t.Helper()
	a := &attacker{upstreams: map[string]*harness.Upstream{}, keys: map[string]string{}, own: map[string]string{}, their: map[string]string{}, shared: map[string]bool{},
		refused: map[string]string{}, sent: map[string]int{}}
	files, config := map[string][]byte{}, attackHead
	for _, siteName := range []string{"shop", "blog"} {
		config += "  " + siteName + ":\n    origins: [https://" + siteName + ".example]\n    limit: [100000 per minute per session, 100000 per minute per prefix]\n" +
			"    guards: {cards: {mode: observe}, messages: {mode: observe, countries: [GB]}, autocomplete: {mode: observe}}\n    connections:\n" // they have tests of their own
		for _, target := range attackTargets() {
			config += strings.ReplaceAll(a.connection(t, target, files), "https://shop.example", "https://"+siteName+".example")
		}
	}
	a.gate = harness.New(t, config, files, "TEST_STRIPE_KEY="+liveKey, "TEST_TWILIO_TOKEN="+strings.Repeat("7", 32), "TEST_VONAGE_SECRET=A0123456789abcdef",
		"TEST_MAPS_KEY=AIza0123456789abcdefghijklmnopqrstuvwxy", "TEST_META_SECRET="+strings.Repeat("a", 32),
		"TEST_ZIGPOLL_KEY="+strings.Repeat("b", 32)).Start()
	for _, siteName := range []string{"shop", "blog"} {
		a.keys[siteName] = a.gate.Key(siteName)
	}
	a.mine, a.victim, a.elsewhere = a.visit(t, "shop"), a.visit(t, "shop"), a.visit(t, "blog")
	return a
}

// connection is a target in the file; its upstream is the mock of the provider's contract,
// over TLS, which counts. A mode mock is answered in the gate.
func (a *attacker) connection(t *testing.T, target attackTarget, files map[string][]byte) string {
	t.Helper()
	out := "      " + target.provider + ":\n        provider: " + target.provider + "\n        mode: " + target.mode + "\n"
	if target.mode != "mock" {
		if a.upstreams[target.provider] == nil {
			pack, err := provider.Builtin().Find(target.provider)
			if err != nil {
				t.Fatal(err)
			}
			a.upstreams[target.provider] = harness.Serve(t, mock.New(pack, site.MockFaults{Seed: 1}, time.Now).Handler())
		}
		up := a.upstreams[target.provider]
		files[target.provider+".pem"] = up.CA
		out += fmt.Sprintf("        credentials: %s\n        upstream: {url: %q, ca: ./%s.pem, private: true}\n", target.credentials, up.URL, target.provider)
	}
	out += "        browser:\n"
	for _, line := range strings.Split(strings.TrimSpace(target.browser), "\n") {
		out += "          " + line + "\n"
	}
	return out
}

// visit starts a session for which the site's backend vouches, so that nothing but the
// attack itself is a reason to refuse.
func (a *attacker) visit(t *testing.T, siteName string) string {
	t.Helper()
	token := a.gate.Session(siteName, "https://"+siteName+".example")
	voucher, err := helper.SignVoucher(a.keys[siteName], helper.Voucher{Site: siteName, Session: visitOf(t, token)})
	if err != nil {
		t.Fatal(err)
	}
	r := a.gate.Do("POST", "/"+siteName+"/session", "", map[string]string{"Origin": "https://" + siteName + ".example", "Authorization": "Bearer " + token, "Sallyport-Voucher": voucher})
	if m := regexp.MustCompile(`"token":\s*"([^"]+)"`).FindStringSubmatch(r.Body); r.Status < 300 && m != nil && visitOf(t, m[1]) == visitOf(t, token) {
		return m[1]
	}
	return token
}

// visitOf is the visit's id in a token, as visit() in client.js reads it.
func visitOf(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct{ Sid string }
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Sid == "" {
		t.Fatalf("token: %v", err)
	}
	return claims.Sid
}

func (a *attacker) call(token, connection, method, path, body string, header ...string) harness.Reply {
	return a.callAt("shop", token, connection, method, path, body, header...)
}

func (a *attacker) callAt(siteName, token, connection, method, path, body string, header ...string) harness.Reply {
	h := map[string]string{"Origin": "https://" + siteName + ".example", "Authorization": "Bearer " + token}
	if body != "" {
		h["Content-Type"] = "application/json"
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] != "" {
			h[header[i]] = header[i+1]
		}
	}
	return a.gate.Do(method, "/"+siteName+"/api/"+connection+path, body, h)
}

// permit signs one for the sealed call of a target; change makes it another's.
func (a *attacker) permit(t *testing.T, target attackTarget, token string, change func(*helper.Permit)) string {
	t.Helper()
	p := helper.Permit{Site: "shop", Connection: target.provider, Mode: target.mode, Operation: target.sealed.operation,
		Origin: origin, Session: visitOf(t, token), Sealed: target.sealed.sealed}
	if change != nil {
		change(&p)
	}
	signed, err := helper.SignPermit(a.keys["shop"], p)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// reached is how many calls a provider got: those that its upstream counts, or the intents
// of the audit log where the gate answers itself.
func (a *attacker) reached(t *testing.T, target attackTarget) int {
	t.Helper()
	if up := a.upstreams[target.provider]; up != nil {
		return len(up.Requests())
	}
	return strings.Count(a.gate.MustRun("", "audit", "show", "--kind", "intent", "--connection", target.provider, "--json"), "\n")
}

// denied fails the test unless the gate refused with one of the codes, which are written
// "one|another", and remembers that the audit log must have it.
func (a *attacker) denied(t *testing.T, name string, r harness.Reply, codes string) {
	t.Helper()
	time.Sleep(5500 * time.Microsecond) // the log thins refusals to 200 a second
	var p struct {
		Code, Detail string
		RequestID    string `json:"request_id"`
		Outcome      string
	}
	if err := json.Unmarshal([]byte(r.Body), &p); err != nil || r.Status < 400 || p.Outcome != "" || !strings.Contains("|"+codes+"|", "|"+p.Code+"|") {
		t.Errorf("%s: %d %s; want %s", name, r.Status, r.Body, codes)
		return
	}
	a.refused[p.RequestID] = p.Code
}

// prepare makes both visits receive ids of their own.
func (a *attacker) prepare(t *testing.T, target attackTarget) {
	t.Helper()
	for _, g := range target.gives {
		key := target.provider + "." + g.name
		a.own[key], a.their[key] = a.receive(t, target, g, a.mine), a.receive(t, target, g, a.victim)
		if a.own[key] == a.their[key] { // a list that everybody may read: then an object that nobody was shown
			a.their[key], a.shared[key] = g.invented, true
		}
	}
}

func (a *attacker) receive(t *testing.T, target attackTarget, g giver, token string) string {
	t.Helper()
	header := ""
	if g.permit {
		header = a.permit(t, target, token, nil)
	}
	method, path, body := g.method, g.path, g.body
	if g.permit {
		method, path, body = target.sealed.method, target.sealed.path, target.sealed.body
	}
	r := a.call(token, target.provider, method, path, body, permitHeader(header), header)
	m := regexp.MustCompile(g.match).FindStringSubmatch(r.Body)
	if r.Status > 299 || m == nil {
		t.Fatalf("%s: %d %s", g.name, r.Status, r.Body)
	}
	return m[1]
}

func permitHeader(permit string) string {
	if permit == "" {
		return ""
	}
	return "Sallyport-Permit"
}

// permits: without one, edited, another's, for something else, too late, and twice.
func (a *attacker) permits(t *testing.T, target attackTarget) {
	s := target.sealed
	before := a.reached(t, target)
	try := func(name, permit, codes string) {
		t.Helper()
		a.denied(t, name, a.call(a.mine, target.provider, s.method, s.path, s.body, permitHeader(permit), permit), codes)
	}
	good := a.permit(t, target, a.mine, nil)
	try("without a permit", "", "permit_required")
	for name, change := range map[string]func(*helper.Permit){
		"of another visit":      func(p *helper.Permit) { p.Session = visitOf(t, a.victim) },
		"for another operation": func(p *helper.Permit) { p.Operation = "another-operation" },
		"for another connection": func(p *helper.Permit) {
			p.Connection = map[bool]string{true: "zigpoll", false: "stripe"}[target.provider == "stripe"]
		},
		"for another site":      func(p *helper.Permit) { p.Site = "blog" },
		"for live":              func(p *helper.Permit) { p.Mode = "live" },
		"for another origin":    func(p *helper.Permit) { p.Origin = "https://evil.example" },
		"that is over":          func(p *helper.Permit) { p.Now = time.Now().Add(-time.Hour) },
		"that has not begun":    func(p *helper.Permit) { p.Now = time.Now().Add(time.Hour) },
		"that seals less":       func(p *helper.Permit) { p.Sealed = map[string]any{} },
		"that seals also more":  func(p *helper.Permit) { p.Sealed = with(p.Sealed, "nothing_such", "x") },
		"with an edited amount": nil,
	} {
		if change == nil {
			try(name, editPermit(t, good), "permit_refused")
			continue
		}
		try(name, a.permit(t, target, a.mine, change), "permit_refused")
	}
	foreign := helper.Permit{Site: "shop", Connection: target.provider, Mode: target.mode, Operation: s.operation, Origin: origin, Session: visitOf(t, a.mine), Sealed: s.sealed}
	if signed, err := helper.SignPermit(a.keys["blog"], foreign); err != nil {
		t.Error(err)
	} else {
		try("signed with another site's key", signed, "permit_refused")
	}
	parts := strings.Split(good, ".")
	try("unsigned", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"sallyport-permit+jwt"}`))+"."+parts[1]+".", "permit_refused")
	try("a session instead", a.mine, "permit_refused")
	a.denied(t, "at another site", a.callAt("blog", a.elsewhere, target.provider, s.method, s.path, strings.ReplaceAll(s.body, "https://shop.", "https://blog."), "Sallyport-Permit", good), "permit_refused")
	a.denied(t, "in another visit", a.call(a.victim, target.provider, s.method, s.path, s.body, "Sallyport-Permit", good), "permit_refused")
	for i, beside := range s.beside {
		path, body := s.path, beside
		if strings.HasPrefix(beside, "/") {
			path, body = beside, s.body
		}
		a.denied(t, fmt.Sprintf("beside the permit, %d", i), a.call(a.mine, target.provider, s.method, path, body, "Sallyport-Permit", good), "parameter_refused|bad_query|bad_body|contract_violation")
	}
	if n := a.reached(t, target) - before; n != 0 {
		t.Fatalf("%d calls were sent", n)
	}
	if r := a.call(a.mine, target.provider, s.method, s.path, s.body, "Sallyport-Permit", good); r.Status > 299 {
		t.Fatalf("the honest call: %d %s", r.Status, r.Body)
	}
	try("a second time", good, "permit_spent")
	if n := a.reached(t, target) - before; n != 1 {
		t.Errorf("%d calls were sent; the honest one is 1", n)
	}
}

func with(m map[string]any, name string, v any) map[string]any {
	out := map[string]any{name: v}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// editPermit changes the first sealed value and leaves the signature.
func editPermit(t *testing.T, permit string) string {
	t.Helper()
	parts := strings.Split(permit, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		t.Fatalf("permit: %v", err)
	}
	sealed, ok := claims["sealed"].(map[string]any)
	if !ok {
		t.Fatalf("the permit has no sealed values: %s", raw)
	}
	for name := range sealed {
		sealed[name] = 1
	}
	raw, err = json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(raw) + "." + parts[2]
}

// ids names other people's objects in every place and spelling.
func (a *attacker) ids(t *testing.T, target attackTarget) {
	if target.noIDs {
		pack, err := provider.Builtin().Find(target.provider)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range pack.Contract().Operations() {
			if ids := op.Places(func(s *contract.Schema) bool { return s.ID }); len(ids) > 0 {
				t.Errorf("%s takes an id, %s", op.ID, ids[0].Path)
			}
		}
		return
	}
	if len(target.places) == 0 {
		t.Fatal("no place to name an id")
	}
	before := a.reached(t, target)
	for _, p := range target.places {
		key := target.provider + "." + p.gives
		own, their := a.own[key], a.their[key]
		for _, s := range spellings(p, own, their) {
			a.denied(t, p.method+" "+p.path+" "+p.body+": "+s.name, a.call(a.mine, target.provider, p.method, s.path, s.body), s.code)
		}
		if a.shared[key] {
			continue
		}
		path, body := filled(p.path, own, url.PathEscape(own)), filled(p.body, own, own)
		a.denied(t, p.path+": somebody else names mine", a.call(a.victim, target.provider, p.method, filled(path, their, ""), filled(body, their, "")), "not_owned")
	}
	if n := a.reached(t, target) - before; n != 0 {
		t.Errorf("%d calls were sent", n)
	}
}

type spelling struct{ name, path, body, code string }

// filled writes an id, and the visit's own, into a template.
func filled(template, own, id string) string {
	return strings.NewReplacer("{id}", id, "{own}", own).Replace(template)
}

// spellings are the ways to name somebody else's object at a place.
func spellings(p idPlace, own, their string) []spelling {
	inBody := strings.Contains(p.body, "{id}")
	inPath := !inBody && !strings.Contains(p.path, "?")
	var out []spelling
	add := func(name, id, code string) {
		out = append(out, spelling{name, filled(p.path, own, id), filled(p.body, own, id), code})
	}
	add("another's", url.PathEscape(their), "not_owned")
	if swapped := swapCase(own); swapped != own && !inBody {
		add("mine in another case", url.PathEscape(swapped), "not_owned|contract_violation")
	}
	add("mine and more", url.PathEscape(own)+"0", "not_owned|contract_violation")
	switch {
	case inBody:
		out[0].body = filled(p.body, own, their)
		add("another's, escaped", escapedJSON(their), "not_owned")
		out = append(out,
			spelling{"as a list", p.path, strings.Replace(filled(p.body, own, "\x00"), `"`+"\x00"+`"`, `["`+own+`","`+their+`"]`, 1), "not_owned|parameter_refused"},
			spelling{"as an object", p.path, strings.Replace(filled(p.body, own, "\x00"), `"`+"\x00"+`"`, `{"id":"`+their+`"}`, 1), "not_owned|parameter_refused"},
			spelling{"as nothing", p.path, strings.Replace(filled(p.body, own, "\x00"), `"`+"\x00"+`"`, `null`, 1), "not_owned"})
	case inPath:
		add("another's, encoded", percent(their), "not_owned")
		add("mine, encoded twice", strings.ReplaceAll(percent(own), "%", "%25"), "bad_target|not_owned")
		add("mine and a way up", url.PathEscape(own)+"%2F..%2F"+url.PathEscape(their), "bad_target")
	default:
		name := regexp.MustCompile(`([A-Za-z_]+)=\{id\}`).FindStringSubmatch(p.path)[1]
		add("another's, encoded", percent(their), "not_owned")
		add("mine, encoded twice", strings.ReplaceAll(percent(own), "%", "%25"), "not_owned|contract_violation")
		add("mine, then another's", own+"&"+name+"="+their, "bad_query|not_owned|contract_violation")
		add("another's, then mine", their+"&"+name+"="+own, "bad_query|not_owned|contract_violation")
		add("mine, and another's in brackets", own+"&"+name+"%5B%5D="+their, "bad_query|parameter_refused|contract_violation")
	}
	return out
}

func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func escapedJSON(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\u%04x`, s[i])
	}
	return b.String()
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 32
		case r >= 'A' && r <= 'Z':
			return r + 32
		}
		return r
	}, s)
}

// rows makes the provider's own attempts.
func (a *attacker) rows(t *testing.T, rows []attackRow) {
	provider := strings.Split(t.Name(), "/")[1]
	before := 0
	if up := a.upstreams[provider]; up != nil {
		before = len(up.Requests())
	}
	for _, row := range rows {
		a.denied(t, row.name, a.call(a.mine, provider, row.method, row.path, row.body, row.header[0], row.header[1]), row.code)
	}
	if up := a.upstreams[provider]; up != nil && len(up.Requests()) != before {
		t.Errorf("%d calls were sent", len(up.Requests())-before)
	}
}

// receipts: the statement of an outcome counts once, at its own site, in time, as it was
// signed.
func (a *attacker) receipts(t *testing.T, target attackTarget) {
	s := target.sealed
	permit := a.permit(t, target, a.mine, nil)
	paid := a.call(a.mine, target.provider, s.method, s.path, s.body, "Sallyport-Permit", permit)
	receipt := paid.Header.Get("Sallyport-Receipt")
	if paid.Status > 299 || receipt == "" {
		t.Fatalf("%d %s: no receipt", paid.Status, paid.Body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	want := helper.Expected{Site: "shop", Connection: target.provider, Mode: target.mode, Operation: s.operation, Session: visitOf(t, a.mine)}
	offline := func(token string, want helper.Expected, later time.Duration) error {
		keys := helper.NewKeySet(a.gate.URL + "/.well-known/jwks.json").At(func() time.Time { return time.Now().Add(later) })
		_, err := helper.VerifyReceipt(ctx, token, want, keys, &usedOnce{})
		return err
	}
	claim := func(siteName, key, token string) harness.Reply {
		body, err := json.Marshal(map[string]string{"receipt": token})
		if err != nil {
			t.Fatal(err)
		}
		return a.gate.Do("POST", "/"+siteName+"/receipts", string(body), map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json"})
	}
	parts := strings.Split(receipt, ".")
	edited := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(decoded(t, parts[1]), `"shop"`, `"blog"`, 1))) + "." + parts[2]
	for name, err := range map[string]error{
		"late":                  offline(receipt, want, 6*time.Minute),
		"for another site":      offline(receipt, helper.Expected{Site: "blog", Connection: target.provider, Mode: target.mode, Operation: s.operation}, 0),
		"for another operation": offline(receipt, helper.Expected{Site: "shop", Connection: target.provider, Mode: target.mode, Operation: "another"}, 0),
		"of another visit":      offline(receipt, helper.Expected{Site: "shop", Connection: target.provider, Mode: target.mode, Operation: s.operation, Session: visitOf(t, a.victim)}, 0),
		"as if in live":         offline(receipt, helper.Expected{Site: "shop", Connection: target.provider, Mode: "live", Operation: s.operation}, 0),
		"edited":                offline(edited, helper.Expected{Site: "blog", Connection: target.provider, Mode: target.mode, Operation: s.operation}, 0),
	} {
		if refused := (*helper.ReceiptError)(nil); !errors.As(err, &refused) {
			t.Errorf("verified offline %s: %v", name, err)
		}
	}
	if err := offline(receipt, want, 0); err != nil {
		t.Errorf("verified offline: %v", err)
	}
	a.denied(t, "claimed by another site", claim("blog", a.keys["blog"], receipt), "receipt_refused")
	a.denied(t, "claimed at another site", claim("blog", a.keys["shop"], receipt), "unauthenticated|receipt_refused")
	a.denied(t, "edited", claim("blog", a.keys["blog"], edited), "receipt_refused")
	a.denied(t, "a permit instead", claim("shop", a.keys["shop"], permit), "receipt_refused")
	a.denied(t, "a session instead", claim("shop", a.keys["shop"], a.mine), "receipt_refused")
	a.denied(t, "by a visit", claim("shop", a.mine, receipt), "unauthenticated")
	if r := claim("shop", a.keys["shop"], receipt); r.Status > 299 {
		t.Fatalf("claimed: %d %s", r.Status, r.Body)
	}
	a.denied(t, "claimed twice", claim("shop", a.keys["shop"], receipt), "receipt_used")
}

// usedOnce has seen nothing.
type usedOnce struct{}

func (*usedOnce) Claim(context.Context, string, time.Time) (bool, error) { return true, nil }

func decoded(t *testing.T, part string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// honest: each visit still does all that is its own, and a header with an id goes nowhere.
func (a *attacker) honest(t *testing.T, target attackTarget) {
	for _, p := range target.places {
		own := a.own[target.provider+"."+p.gives]
		r := a.call(a.mine, target.provider, p.method, filled(p.path, own, url.PathEscape(own)), filled(p.body, own, own), "X-Object-Id", "acct_of_somebody_else")
		if r.Status > 299 {
			t.Errorf("%s %s with its own id: %d %s", p.method, p.path, r.Status, r.Body)
		}
	}
	if up := a.upstreams[target.provider]; up != nil {
		for _, r := range up.Requests() {
			if strings.Contains(fmt.Sprint(r.Header, r.Target, r.Body), "acct_of_somebody_else") {
				t.Error("a header of the page's choice reached the provider")
			}
		}
	}
}

// audited: every refusal stands in the audit log with its code, and the log verifies.
func (a *attacker) audited(t *testing.T) {
	t.Helper()
	a.gate.MustRun("", "audit", "verify")
	logged := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(a.gate.MustRun("", "audit", "show", "--json")), "\n") {
		var e struct{ Kind, Request, Code string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if e.Code != "" {
			logged[e.Request] = e.Code
		}
	}
	if len(a.refused) < 250 {
		t.Errorf("%d attempts; there are more", len(a.refused))
	}
	for id, code := range a.refused {
		if logged[id] != code {
			t.Errorf("request %s was refused with %s; the audit log has %q", id, code, logged[id])
		}
	}
	t.Logf("%d attempts refused", len(a.refused))
}
