package provider

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"sallyport/internal/webhook/scheme"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/contract"
)

// tokenKinds need a token of the provider before a call; see Auth.Kind.
func tokenKinds() []string {
	return []string{"oauth_client_credentials", "oauth_jwt_bearer", "jwt_rs256", "user_token"}
}

// tokenField stands for the token in the value of a kind that needs one.
const tokenField = "access_token"

// AuthKinds are the ways to place a credential.
func AuthKinds() []string {
	return append([]string{"header", "basic", "query", "body", "none"}, tokenKinds()...)
}

// ownHeaders are never handed through: they carry credentials, frame the message, name
// a host or say who the client is.
func ownHeaders() []string {
	return []string{
		"authorization", "proxy-authorization", "proxy-authenticate", "cookie", "set-cookie", "host", "connection", "keep-alive",
		"te", "trailer", "transfer-encoding", "upgrade", "content-length", "content-encoding", "content-type", "accept-encoding", "expect",
		"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via", "origin", "referer",
	}
}

func (p *Pack) checkCredentials(f *faults) {
	seen := make(map[string]bool)
	for i, c := range p.Credentials {
		where := fmt.Sprintf("credentials[%d]", i)
		if !fieldPattern.MatchString(c.Name) {
			f.add("%s.name: %q is not a word of lower-case letters, digits and _", where, c.Name)
		}
		if seen[c.Name] {
			f.add("%s.name: %q stands twice", where, c.Name)
		}
		seen[c.Name] = true
		f.text(where+".title", c.Title)
		if c.Pattern != "" {
			f.pattern(where+".pattern", c.Pattern)
		}
		for _, mode := range sortedKeys(c.Modes) {
			f.oneOf(where+".modes", string(mode), []string{string(Live), string(Sandbox)})
			f.pattern(where+".modes."+string(mode), c.Modes[mode])
		}
	}
}

func (p *Pack) checkAuth(f *faults) {
	if len(p.Auth) == 0 {
		f.add("auth: none given; an API without credentials has kind none")
	}
	for _, name := range sortedKeys(p.Auth) {
		p.checkOneAuth(f, "auth."+name, p.Auth[name])
	}
}

func (p *Pack) checkOneAuth(f *faults, where string, a Auth) {
	f.oneOf(where+".kind", a.Kind, AuthKinds())
	switch a.Kind {
	case "header", "query", "body":
		f.text(where+".name", a.Name)
		f.text(where+".value", a.Value)
		if a.Kind == "header" && !headerPattern.MatchString(a.Name) {
			f.add("%s.name: %q is not a header name", where, a.Name)
		}
	case "basic":
		f.text(where+".user", a.User)
	}
	p.checkToken(f, where, a)
	fields := a.ownFields()
	for _, other := range a.InsteadOf {
		if o, ok := p.Auth[other]; !ok || len(o.InsteadOf) > 0 {
			f.add("%s.instead_of: there is no auth %q that operations name", where, other)
		}
	}
	if a.Kind != "none" && a.Kind != "user_token" && len(fields) == 0 {
		f.add("%s: no template names a credential field; write for instance Bearer {secret_key}", where)
	}
	for _, field := range fields {
		if !slices.ContainsFunc(p.Credentials, func(c CredentialField) bool { return c.Name == field }) {
			f.add("%s: the template names {%s}, which is not one of credentials", where, field)
		}
	}
	for i, also := range a.Also {
		p.checkOneAuth(f, fmt.Sprintf("%s.also[%d]", where, i), also)
	}
}

// checkToken checks what only kinds have that need a token.
func (p *Pack) checkToken(f *faults, where string, a Auth) {
	endpoint := a.Kind == "oauth_client_credentials" || a.Kind == "oauth_jwt_bearer"
	if _, ok := p.Servers[a.TokenServer]; endpoint && !ok {
		f.add("%s.token_server: there is no server %q", where, a.TokenServer)
	}
	if endpoint && !strings.HasPrefix(a.TokenPath, "/") {
		f.add("%s.token_path: %q does not begin with /", where, a.TokenPath)
	}
	if a.TokenClient != "" && (a.Kind != "oauth_client_credentials" || a.TokenClient != "client_secret_basic" && a.TokenClient != "client_secret_post") {
		f.add("%s.token_client: %q; write client_secret_basic or client_secret_post, for oauth_client_credentials only", where, a.TokenClient)
	}
	switch a.Kind {
	case "oauth_client_credentials":
		f.text(where+".user", a.User)
		f.text(where+".password", a.Password)
	case "oauth_jwt_bearer":
		f.text(where+".password", a.Password)
	case "jwt_rs256":
		f.text(where+".password", a.Password)
		if d, err := time.ParseDuration(a.TokenLife); err != nil || d < time.Minute || d > 24*time.Hour {
			f.add("%s.token_life: %q is not a duration from 1m to 24h", where, a.TokenLife)
		}
		for _, own := range []string{"iat", "exp", "jti"} {
			if _, ok := a.Claims[own]; ok {
				f.add("%s.claims.%s: the gate sets it", where, own)
			}
		}
	}
	if a.Kind != "jwt_rs256" && (a.TokenLife != "" || len(a.Claims) > 0) {
		f.add("%s: token_life and claims are of jwt_rs256 only", where)
	}
	if slices.ContainsFunc(a.Also, func(also Auth) bool { return slices.Contains(tokenKinds(), also.Kind) }) {
		f.add("%s.also: one auth has one token", where)
	}
}

// Fields lists the credential fields that a and its Also need, in the order of their
// first use.
func (a Auth) Fields() []string {
	fields := a.ownFields()
	for _, also := range a.Also {
		for _, field := range also.Fields() {
			if !slices.Contains(fields, field) {
				fields = append(fields, field)
			}
		}
	}
	return fields
}

func (a Auth) ownFields() []string {
	var fields []string
	texts := a.Value + a.User + a.Password
	for _, name := range sortedKeys(a.Claims) {
		texts += a.Claims[name]
	}
	for _, m := range fieldTemplate.FindAllString(texts, -1) {
		name := strings.Trim(m, "{}")
		if name == tokenField && slices.Contains(tokenKinds(), a.Kind) {
			continue
		}
		if !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	return fields
}

func (p *Pack) checkLimits(f *faults) {
	if len(p.Limits) == 0 {
		f.add("limits: none given; where the provider publishes none, write our own with published false")
	}
	for i, l := range p.Limits {
		where := fmt.Sprintf("limits[%d]", i)
		f.oneOf(where+".scope", l.Scope, []string{"account", "operation", "object", "number"})
		for _, m := range l.Modes {
			f.oneOf(where+".modes", string(m), []string{string(Live), string(Sandbox)})
		}
		if l.Calls <= 0 && l.InFlight <= 0 {
			f.add("%s: neither calls nor in_flight is above 0", where)
		}
		if d, err := time.ParseDuration(l.Per); l.Calls > 0 && (err != nil || d <= 0) {
			f.add("%s.per: %q is not a duration; write 1s, 1m or 24h", where, l.Per)
		}
		if l.Published {
			f.text(where+".source", l.Source)
			f.day(where+".date", l.Date)
		} else {
			f.text(where+".note", l.Note)
		}
		p.checkOps(f, where, l.Ops)
		p.checkBy(f, where, l)
	}
}

// checkBy holds a limit for each object or number against the operations: a call that
// names none could not be counted.
func (p *Pack) checkBy(f *faults, where string, l Limit) {
	if !l.EachNamed() {
		if len(l.By) > 0 {
			f.add("%s.by: found in a limit of scope %q; only object and number have it", where, l.Scope)
		}
		return
	}
	if len(l.By) == 0 || len(l.Ops) == 0 {
		f.add("%s: scope %s needs operations, and by with the parameter that names the %s", where, l.Scope, l.Scope)
		return
	}
	for _, id := range l.Ops {
		if p.contract == nil {
			return
		}
		op, ok := p.contract.Find(id)
		if !ok {
			continue // told by checkOps
		}
		if name, ok := l.Names(op); !ok {
			f.add("%s.by: %s has no parameter %s; name one that it needs", where, id, strings.Join(l.By, " or "))
		} else if q, _ := op.Param(name); !q.Required || q.Account != "" {
			f.add("%s.by: %s of %s can be missing in a call; name a required parameter", where, name, id)
		}
	}
}

func (p *Pack) checkSignList(f *faults, name string, signs []Sign, means []string) {
	for i, s := range signs {
		where := fmt.Sprintf("%s[%d]", name, i)
		f.oneOf(where+".means", s.Means, means)
		f.text(where+".source", s.Source)
		if s.Field == "" && s.Header == "" && s.Status == 0 {
			f.add("%s: no condition; every answer would be a sign", where)
		}
		if s.Field != "" {
			checkPath(f, where+".field", s.Field)
		}
		p.checkOps(f, where, s.Ops)
	}
}

func (p *Pack) checkSigns(f *faults) {
	p.checkSignList(f, "throttle", p.Throttle, []string{"throttled", "retry", "never"})
	p.checkSignList(f, "refused", p.Refused, []string{"refused"})
	for i, s := range p.Retry.Statuses {
		if s < 400 || s > 599 {
			f.add("retry.statuses[%d]: %d is not the status of a failure", i, s)
		}
	}
	if p.Retry.MaxAttempts < 1 || p.Retry.MaxAttempts > 5 {
		f.add("retry.max_attempts: %d is not between 1 and 5", p.Retry.MaxAttempts)
	}
	f.text("retry.source", p.Retry.Source)
	p.checkErrors(f)
	p.checkIdempotency(f)
}

func (p *Pack) checkErrors(f *faults) {
	p.Errors.check(f, "errors")
	if len(p.Errors.Ops) > 0 {
		f.add("errors.operations: only errors.else names operations; errors itself is for all others")
	}
	e := p.Errors.Else
	if e == nil {
		return
	}
	e.check(f, "errors.else")
	p.checkOps(f, "errors.else", e.Ops)
	if len(e.Ops) == 0 || e.Else != nil {
		f.add("errors.else: it names its operations, and has no else of its own")
	}
}

func (r *RefusedCodes) check(f *faults, where, code string) {
	if r == nil {
		return
	}
	f.text(where+".source", r.Source)
	if code == "" || len(r.Codes) == 0 {
		f.add("%s: it needs codes, and a code beside it that says where they stand", where)
	}
	for _, status := range slices.Sorted(maps.Keys(r.Codes)) {
		if n, err := strconv.Atoi(status); err != nil || n < 400 || n > 599 {
			f.add("%s.codes: %q is not a status from 400 to 599", where, status)
		}
		if _, err := strconv.Atoi(r.Codes[status]); r.Numbers && err != nil {
			f.add("%s.codes: %q is not a number", where, r.Codes[status])
		}
	}
}

func (e ErrorShape) check(f *faults, where string) {
	e.Refused.check(f, where+".refused", e.Code)
	if e.Code != "" {
		checkPath(f, where+".code", e.Code)
	}
	if e.Message != "" {
		checkPath(f, where+".message", e.Message)
	}
}

func (p *Pack) checkIdempotency(f *faults) {
	i := p.Idempotency
	if i.Header == "" {
		return
	}
	f.text("idempotency.source", i.Source)
	if !headerPattern.MatchString(i.Header) {
		f.add("idempotency.header: %q is not a header name", i.Header)
	}
	if i.MaxLength < 16 {
		f.add("idempotency.max_length: %d is too short for a key that nobody guesses; at least 16", i.MaxLength)
	}
	if len(i.Methods) == 0 {
		f.add("idempotency.methods: none given")
	}
	if d, err := time.ParseDuration(i.Keep); err != nil || d <= 0 {
		f.add("idempotency.keep: %q is not a duration such as 24h", i.Keep)
	}
}

func checkPath(f *faults, where, path string) {
	if _, err := contract.ParsePath(path); err != nil {
		f.add("%s: %w", where, err)
	}
}

func (p *Pack) checkHeaders(f *faults) {
	check := func(where string, headers []string) {
		for i, h := range headers {
			at := fmt.Sprintf("%s[%d]", where, i)
			if h != strings.ToLower(h) || !headerPattern.MatchString(h) {
				f.add("%s: %q is not a header name in lower case", at, h)
			}
			if slices.Contains(ownHeaders(), h) {
				f.add("%s: %q is always the gate's own; leave it out", at, h)
			}
		}
	}
	check("request_headers", p.RequestHeaders)
	check("response_headers", p.ResponseHeaders)
	for i, h := range p.AccountHeaders {
		at := fmt.Sprintf("account_headers[%d]", i)
		f.text(at+".source", h.Source)
		if h.Name != strings.ToLower(h.Name) || !headerPattern.MatchString(h.Name) {
			f.add("%s.name: %q is not a header name in lower case", at, h.Name)
		}
		if slices.Contains(p.RequestHeaders, h.Name) {
			f.add("%s.name: %q stands under request_headers too; a header that selects an account never passes", at, h.Name)
		}
	}
	ours := []string{strings.ToLower(p.Version.Header), strings.ToLower(p.Idempotency.Header)}
	for _, name := range sortedKeys(p.Auth) {
		ours = append(ours, strings.ToLower(p.Auth[name].Name))
	}
	for i, h := range p.RequestHeaders {
		if slices.Contains(ours, h) {
			f.add("request_headers[%d]: %q is set by the gate from version, idempotency or auth; leave it out", i, h)
		}
	}
}

func (p *Pack) checkWebhook(f *faults) {
	if p.Webhook == nil {
		return
	}
	f.oneOf("webhook.scheme", p.Webhook.Scheme, Schemes())
	f.text("webhook.source", p.Webhook.Source)
	if p.Webhook.Scheme != "none" && slices.Contains(Schemes(), p.Webhook.Scheme) {
		if _, err := scheme.New(scheme.Config{Kind: p.Webhook.Scheme, Params: p.Webhook.Params}); err != nil {
			f.add("webhook: %v", err)
		}
	}
	if p.Webhook.Unauthenticated && p.Webhook.Scheme != "none" && p.Webhook.Scheme != "secret_path" {
		f.add("webhook: unauthenticated events have the scheme secret_path or none, not %q", p.Webhook.Scheme)
	}
}

func (p *Pack) checkKeyShapes(f *faults) {
	seen := make(map[string]bool)
	for i, k := range p.KeyShapes {
		where := fmt.Sprintf("key_shapes[%d]", i)
		if !idPattern.MatchString(k.Name) || seen[k.Name] {
			f.add("%s.name: %q stands twice or is not a word of lower-case letters, digits and single hyphens", where, k.Name)
		}
		seen[k.Name] = true
		k.checkApplication(f, where)
		if k.UserAlphabet != "" && (alphabets()[k.UserAlphabet] == 0 || k.UserLen <= 0) {
			f.add("%s.user_alphabet: %q is not one of base62, base64url, digits, hex, for a pair with a user_length", where, k.UserAlphabet)
		}
		if bits := k.Bits(); bits < 128 {
			f.add("%s: %d characters of %q carry %.0f bits; a key needs 128", where, k.Length, k.Alphabet, math.Floor(bits))
		}
	}
}

// alphabets are the sizes of those that a key can be made of.
func alphabets() map[string]float64 {
	return map[string]float64{"base62": 62, "hex": 16, "base64url": 64, "digits": 10}
}

// Bits is the randomness of a key of this shape. An unknown alphabet carries none.
func (k KeyShape) Bits() float64 {
	symbols := alphabets()[k.Alphabet]
	if symbols == 0 || k.Length <= 0 {
		return 0
	}
	return float64(k.Length) * math.Log2(symbols)
}

// Accepts reports whether value is a well-formed value of the field in this mode. The
// patterns come from the pack; a value is never printed.
func (c CredentialField) Accepts(mode Mode, value string) bool {
	for _, pattern := range []string{c.Pattern, c.Modes[mode]} {
		if pattern == "" {
			continue
		}
		if re, err := regexp.Compile(pattern); err != nil || !re.MatchString(value) {
			return false
		}
	}
	return true
}
