package scheme

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/secret"
)

// The handshakes.
const (
	handshakeHub   = "hub.challenge"    // Meta: a GET with hub.mode, hub.verify_token, hub.challenge
	handshakeSlack = "url_verification" // Slack: a signed POST of that type
)

type handshake struct{ kind string }

// maxChallenge bounds what is sent back.
const maxChallenge = 512

// Handshake answers what a provider asks before it sends events. ok is false for an event. tokens
// are those that the provider was given to say (hub.verify_token).
func (s *Scheme) Handshake(r Request, tokens []secret.Value) (reply Reply, ok bool, err error) {
	if s.shake.kind != handshakeHub || r.Method != http.MethodGet {
		return Reply{}, false, nil
	}
	_, q, _ := strings.Cut(r.URL, "?")
	v, err := url.ParseQuery(q)
	if err != nil {
		return Reply{}, false, refuse("the query")
	}
	for _, name := range []string{"hub.mode", "hub.verify_token", "hub.challenge"} {
		if len(v[name]) != 1 {
			return Reply{}, false, refuse("no single " + name)
		}
	}
	challenge := v.Get("hub.challenge")
	good := v.Get("hub.mode") == "subscribe" && challenge != "" && len(challenge) <= maxChallenge && !strings.ContainsFunc(challenge, func(c rune) bool { return c < ' ' || c > '~' || c == '<' })
	known := slices.ContainsFunc(tokens, func(t secret.Value) bool {
		return !t.Empty() && subtle.ConstantTimeCompare(t.Expose(), []byte(v.Get("hub.verify_token"))) == 1
	})
	if !good || !known {
		return Reply{}, false, refuse("the verify token or the challenge")
	}
	return Reply{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte(challenge)}, true, nil
}

// Answer is what an event that was verified has to be answered with, where that depends on it:
// Slack's url_verification is answered with its challenge and is no event.
func (s *Scheme) Answer(r Request) (Reply, bool) {
	if s.shake.kind != handshakeSlack || !unique(r.Body) {
		return Reply{}, false
	}
	var body struct{ Type, Challenge string }
	if json.Unmarshal(r.Body, &body) != nil || body.Type != handshakeSlack || body.Challenge == "" || len(body.Challenge) > maxChallenge {
		return Reply{}, false
	}
	return Reply{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte(body.Challenge)}, true
}
