package hashivault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	vault "github.com/hashicorp/vault/api"

	"sallyport/internal/secret"
)

const (
	// Vault locks a role out after five refused logins within a quarter of an hour: the same
	// refused credentials are tried less often than that, other ones at once.
	refusedFirst = time.Minute
	refusedThen  = 5 * time.Minute
	// awayWait is how long a login that Vault did not answer is not tried again.
	awayWait = time.Second
	// reloginWait keeps a 403 that no new token mends from making logins.
	reloginWait = 10 * time.Second
)

// session is the gate's token. Its fields belong to who holds turn, but for those that
// the Source's mutex guards.
type session struct {
	turn chan struct{} // one login at a time

	// Guarded by Source.mu.
	token   secret.Value
	expires time.Time // zero: it does not end
	renewAt time.Time // zero: it is not renewed
	life    time.Duration
	own     bool // got by logging in
	dropped time.Time
	mark    [32]byte // of the material that made it

	// Belonging to who holds turn.
	refused  int
	badMark  [32]byte
	nextTry  time.Time
	lastFail error
	noLookup bool // guarded by Source.mu: Vault does not let the token look at itself
}

// token gives a token that has not ended, and logs in where there is none.
func (s *Source) token(ctx context.Context) (secret.Value, error) {
	if t, ok := s.held(); ok {
		return t, nil
	}
	select {
	case s.login.turn <- struct{}{}:
	case <-ctx.Done():
		return secret.Value{}, s.failure(ctx, "the login", context.Cause(ctx))
	}
	defer func() { <-s.login.turn }()
	if t, ok := s.held(); ok {
		return t, nil
	}
	return s.logIn(ctx)
}

func (s *Source) held() (secret.Value, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.login
	return l.token, !l.token.Empty() && (l.expires.IsZero() || s.o.Now().Before(l.expires))
}

// logIn gets a token; turn is held.
func (s *Source) logIn(ctx context.Context) (secret.Value, error) {
	l := &s.login
	m, err := s.gather(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	now := s.o.Now()
	if l.lastFail != nil && now.Before(l.nextTry) && (l.refused == 0 || l.badMark == m.mark) {
		return secret.Value{}, l.lastFail
	}
	auth, err := s.authenticate(ctx, m)
	if err == nil {
		l.refused, l.lastFail = 0, nil
		s.adopt(auth, m)
		return secret.NewValue([]byte(auth.ClientToken)), nil
	}
	l.lastFail, l.nextTry = err, now.Add(awayWait)
	if f, ok := err.(*Failure); ok && (f.Kind == LoginFailed || f.Kind == Denied) {
		wait := refusedThen
		if l.refused == 0 || l.badMark != m.mark {
			l.refused, wait = 0, refusedFirst
		}
		l.refused++
		l.badMark, l.nextTry = m.mark, now.Add(wait)
	} else {
		l.refused = 0
	}
	return secret.Value{}, err
}

// authenticate asks Vault for a token, or looks at the one that was given.
func (s *Source) authenticate(ctx context.Context, m material) (*vault.SecretAuth, error) {
	if s.o.Auth.Method == Token {
		return s.look(ctx, m.token)
	}
	path := "auth/" + s.o.Auth.Mount + "/login"
	answer, err := s.send(ctx, secret.Value{}, request{path: path, body: m.body, what: "the login at " + path})
	if badCredentials(err) {
		return nil, s.refusedLogin(path, m, err)
	}
	if err != nil {
		return nil, err
	}
	if answer == nil || answer.Auth == nil || answer.Auth.ClientToken == "" {
		return nil, &Failure{Kind: Unusable, Text: "Vault answered the login at " + path + " without a token: is it the path of an auth method, and is no second factor asked for?"}
	}
	return answer.Auth, nil
}

// badCredentials tells a refused login. Some versions answer a wrong secret id with 500.
func badCredentials(err error) bool {
	if refusal(err, http.StatusInternalServerError) {
		words := lastWords(err)
		return strings.Contains(words, "invalid role") || strings.Contains(words, "invalid secret id")
	}
	return refusal(err, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized)
}

// refusedLogin tells why no token came, without repeating what was sent.
func (s *Source) refusedLogin(path string, m material, err error) *Failure {
	words := strings.TrimSpace(lastWords(err))
	for _, v := range m.body {
		if sent, ok := v.(string); ok && len(sent) >= 8 && strings.Contains(words, sent) {
			words = ""
		}
	}
	hint := map[Method]string{
		AppRole:    "make a new secret id (`vault write -f auth/" + s.o.Auth.Mount + "/role/ROLE/secret-id`) and put it where secrets.vault.auth.approle.secret_id points: it is used at once, without a restart",
		Kubernetes: "the role " + s.o.Auth.Role + " must be bound to this pod's service account and namespace, and Vault must reach the cluster's token review",
		JWT:        "the role " + s.o.Auth.Role + " must be bound to the token's issuer, audience and subject, and the token must not have expired",
	}[s.o.Auth.Method]
	return &Failure{Kind: LoginFailed, Err: err, Text: "Vault refuses the login at " + path + words + ": " + hint}
}

func lastWords(err error) string {
	if f, ok := err.(*Failure); ok {
		if r, ok := f.Err.(*vault.ResponseError); ok {
			return fmt.Sprintf(" (%d%s)", r.StatusCode, said(r))
		}
	}
	return ""
}

// look asks what a given token may. Where Vault does not say, the token is used as it is:
// its first use shows.
func (s *Source) look(ctx context.Context, token secret.Value) (*vault.SecretAuth, error) {
	auth := &vault.SecretAuth{ClientToken: string(token.Expose())}
	answer, err := s.send(ctx, token, request{path: "auth/token/lookup-self", what: "the token's own data"})
	if refusal(err, http.StatusForbidden) {
		return auth, nil
	}
	if err != nil || answer == nil {
		return auth, err
	}
	ttl, _ := answer.TokenTTL() // none is told: it does not end
	auth.LeaseDuration = int(ttl / time.Second)
	auth.Renewable, _ = answer.TokenIsRenewable()
	return auth, nil
}

// adopt keeps a token.
func (s *Source) adopt(auth *vault.SecretAuth, m material) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, now := &s.login, s.o.Now()
	l.token, l.mark = secret.NewValue([]byte(auth.ClientToken)), m.mark
	l.own = s.o.Auth.Method != Token
	l.lasts(now, time.Duration(auth.LeaseDuration)*time.Second, auth.Renewable)
}

// lasts notes when the token ends. It is renewed, or one that cannot be is replaced, after
// two thirds of its life.
func (l *session) lasts(now time.Time, life time.Duration, renewable bool) {
	l.life, l.expires, l.renewAt = life, time.Time{}, time.Time{}
	if life <= 0 {
		return
	}
	l.expires = now.Add(life)
	if renewable || l.own {
		l.renewAt = now.Add(life * 2 / 3)
	}
}

// renewed is asked after a 403: it says whether there is another token now.
func (s *Source) renewed(ctx context.Context, used secret.Value) bool {
	s.mu.Lock()
	held, mark := s.login.token, s.login.mark
	s.mu.Unlock()
	switch {
	case held.Empty() || !held.Equal(used):
		return true // somebody else was quicker
	case s.o.Auth.Method == Token:
		m, err := s.gather(ctx)
		if err != nil || m.mark == mark {
			return false
		}
	default:
		_, err := s.send(ctx, used, request{path: "auth/token/lookup-self", what: "the token's own data"})
		if !refusal(err, http.StatusForbidden) {
			return false // the token is good: it is the policy that refuses
		}
	}
	return s.drop(used)
}

// drop forgets a token that Vault does not take any more, so that there will be another one.
// It does not so twice within reloginWait: a new token that is refused like the one before
// is refused for another reason.
func (s *Source) drop(used secret.Value) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, now := &s.login, s.o.Now()
	if !l.token.Equal(used) {
		return true
	}
	if since := now.Sub(l.dropped); l.own && since >= 0 && since < reloginWait {
		return false
	}
	l.token, l.expires, l.renewAt, l.dropped = secret.Value{}, time.Time{}, time.Time{}, now
	return true
}

// renewToken lets the token live longer, or gets another one where Vault does not agree.
// The one that is held stays in use until there is a better one.
func (s *Source) renewToken(ctx context.Context) error {
	s.mu.Lock()
	token, life := s.login.token, s.login.life
	s.mu.Unlock()
	answer, err := s.send(ctx, token, request{path: "auth/token/renew-self", body: map[string]any{}, what: "the token's renewal"})
	if err == nil && answer != nil && answer.Auth != nil {
		now, next := s.o.Now(), time.Duration(answer.Auth.LeaseDuration)*time.Second
		if next > life/2 || s.o.Auth.Method == Token {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.login.expires, s.login.renewAt = now.Add(next), now.Add(min(next, life)*2/3)
			return nil
		}
	}
	if f, ok := err.(*Failure); ok && !refusal(err, http.StatusForbidden, http.StatusBadRequest) && f.everywhere() {
		return err
	}
	return s.replaceToken(ctx)
}

// replaceToken logs in beside the token that is held, which ends soon.
func (s *Source) replaceToken(ctx context.Context) error {
	select {
	case s.login.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.login.turn }()
	_, err := s.logIn(ctx)
	return err
}

// giveBack ends a token of our own, with its leases, so that no usable one stays behind.
func (s *Source) giveBack() {
	s.mu.Lock()
	token, own := s.login.token, s.login.own
	s.login.token = secret.Value{}
	s.mu.Unlock()
	if !own || token.Empty() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(s.o.Timeout, 2*time.Second))
	defer cancel()
	// Where Vault is away the token ends by itself.
	_, _ = s.send(ctx, token, request{path: "auth/token/revoke-self", body: map[string]any{}, what: "the token's end"})
}

// text is a value of Vault as a credential: text as it is, numbers as they were written.
func text(v any) (secret.Value, bool) {
	switch v := v.(type) {
	case string:
		return secret.NewValue([]byte(v)), v != "" && !bytes.ContainsRune([]byte(v), 0)
	case json.Number:
		return secret.NewValue([]byte(v)), true
	}
	return secret.Value{}, false
}
