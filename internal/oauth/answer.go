package oauth

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/secret"
	"sallyport/internal/tape"
)

const (
	maxAnswer = 64 << 10 // bytes of a token endpoint's answer
	maxToken  = 16 << 10 // bytes of a token
	// leastToken is what outbound needs to find a token in an answer.
	leastToken = 8
)

// answer is what a token endpoint gave (RFC 6749 §5.1).
type answer struct {
	token   secret.Value
	refresh secret.Value // empty: none
	seconds int64        // expires_in; 0: absent, or no number
	scope   string
}

// readAnswer reads a successful answer strictly: an object in which each name stands once,
// with a bearer token. The error repeats nothing of it.
func readAnswer(body []byte) (answer, error) {
	m, err := readObject(body)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if kind, _ := m["token_type"].(string); !strings.EqualFold(kind, "Bearer") {
		return answer{}, errors.New("its token_type is not Bearer")
	}
	if a.token, err = tokenIn(m, "access_token"); err != nil {
		return answer{}, err
	}
	if m["refresh_token"] != nil { // some write null where there is none
		if a.refresh, err = tokenIn(m, "refresh_token"); err != nil {
			return answer{}, err
		}
	}
	a.seconds = wholeSeconds(m["expires_in"])
	a.scope, _ = m["scope"].(string)
	return a, nil
}

func readObject(body []byte) (map[string]any, error) {
	var t tape.Tape
	if err := t.Parse(body, tape.Limits{Bytes: maxAnswer, Depth: 16, Digits: 40, Exponent: 40}); err != nil {
		return nil, errors.New("it is not JSON with each name once")
	}
	if t.Nodes[0].Kind != tape.Object {
		return nil, errors.New("it is not a JSON object")
	}
	m, _ := t.Value(0).(map[string]any)
	return m, nil
}

func tokenIn(m map[string]any, name string) (secret.Value, error) {
	s, ok := m[name].(string)
	switch {
	case !ok:
		return none, errors.New("its " + name + " is missing, or no text")
	case len(s) < leastToken || len(s) > maxToken:
		return none, errors.New("its " + name + " has an unlikely length")
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return none, errors.New("its " + name + " holds something other than visible ASCII characters")
	}
	return secret.NewValue([]byte(s)), nil
}

// wholeSeconds reads a number of seconds, which some providers write as a text.
func wholeSeconds(v any) int64 {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	if whole, _, ok := strings.Cut(text, "."); ok {
		text = whole
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) && !strings.HasPrefix(text, "-") {
		return n // the largest number: longer than any bound
	}
	if err != nil {
		return 0
	}
	return n
}

// errorIn finds the error code of an unsuccessful answer (RFC 6749 §5.2), if it is a
// registered one: anything else could be anything.
func errorIn(body []byte) string {
	m, err := readObject(body)
	if err != nil {
		return ""
	}
	code, _ := m["error"].(string)
	if slices.Contains([]string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
		"invalid_scope", "invalid_target", "temporarily_unavailable", "server_error"}, code) {
		return code
	}
	return ""
}
