package authcode

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Life is how long a visitor may take between being sent to the provider and coming back.
const Life = 10 * time.Minute

// The bounds of what comes back.
const (
	maxCode   = 4096
	maxCookie = 3800 // what browsers keep of one cookie, name included, is 4096
)

// Request is what a visitor is to be asked for.
type Request struct {
	// For binds the attempt to what it is for ("login/shop/google"): a callback of another
	// connection does not take it.
	For string
	// Redirect is the address that the provider sends the visitor back to, exactly as
	// registered there.
	Redirect string
	// Return is where the visitor goes in the end; already checked.
	Return string
	Scopes []string
	// Params are further parameters of the authorization request (hd, prompt); none that
	// this package sets itself.
	Params url.Values
	// Who is for whom the attempt is made, in the caller's words; it comes back in the Attempt.
	Who string
}

// Attempt is what the browser has to bring back, sealed. Its parts are secrets of one
// browser and one attempt.
type Attempt struct {
	For      string `json:"for"`
	Issuer   string `json:"iss"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier,omitempty"`
	Redirect string `json:"redirect"`
	Return   string `json:"return"`
	Who      string `json:"who,omitempty"`
	Begun    int64  `json:"begun"`
}

// ID names the attempt for whoever makes sure that it counts once.
func (a Attempt) ID() string { return a.State }

// Ends is when the attempt stops counting.
func (a Attempt) Ends() time.Time { return time.Unix(a.Begun, 0).Add(Life) }

// Begin makes an attempt and the address that its visitor is sent to.
func Begin(s Server, clientID string, r Request, now time.Time) (location string, a Attempt, err error) {
	u, err := url.Parse(s.Authorize)
	if err != nil || CheckAddress(s.Authorize) != nil {
		return "", a, errors.New("begin authorization: the server's address is not usable")
	}
	a = Attempt{For: r.For, Issuer: s.Issuer, State: random(), Nonce: random(), Redirect: r.Redirect, Return: r.Return, Who: r.Who, Begun: now.Unix()}
	q := u.Query()
	for name, values := range r.Params {
		q[name] = values
	}
	q.Set("response_type", "code")
	q.Set("client_id", clientID)
	q.Set("redirect_uri", r.Redirect)
	q.Set("scope", strings.Join(r.Scopes, " "))
	q.Set("state", a.State)
	q.Set("nonce", a.Nonce)
	if !s.NoPKCE {
		a.Verifier = random() + random()
		sum := sha256.Sum256([]byte(a.Verifier))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	u.RawQuery = q.Encode()
	return u.String(), a, nil
}

// random is 256 random bits in base64url: 43 characters, as RFC 7636 §4.1 wants at least.
func random() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Sealer encrypts and authenticates what the browser keeps.
type Sealer interface {
	Seal(plaintext []byte, purpose string) ([]byte, error)
	Open(sealed []byte, purpose string) ([]byte, error)
}

func purpose(of string) string { return "authorization-attempt/" + of }

// Seal writes the attempt for a cookie.
func (a Attempt) Seal(s Sealer) (string, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("seal attempt: %w", err)
	}
	sealed, err := s.Seal(plain, purpose(a.For))
	if err != nil {
		return "", fmt.Errorf("seal attempt: %w", err)
	}
	out := base64.RawURLEncoding.EncodeToString(sealed)
	if len(out) > maxCookie {
		return "", errors.New("seal attempt: the address to return to is too long for a cookie")
	}
	return out, nil
}

// OpenAttempt reads what Seal wrote for the same purpose, if it has not ended.
func OpenAttempt(s Sealer, of, cookie string, now time.Time) (Attempt, error) {
	var a Attempt
	if cookie == "" || len(cookie) > maxCookie {
		return a, errors.New("this browser did not begin it")
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil {
		return a, errors.New("this browser did not begin it")
	}
	plain, err := s.Open(sealed, purpose(of))
	if err != nil {
		return a, fmt.Errorf("this browser did not begin it: %w", err)
	}
	if err := json.Unmarshal(plain, &a); err != nil || a.For != of {
		return Attempt{}, errors.New("this browser began something else")
	}
	begun := time.Unix(a.Begun, 0)
	if !now.Before(a.Ends()) || begun.After(now.Add(time.Minute)) {
		return Attempt{}, errors.New("it took longer than ten minutes")
	}
	return a, nil
}

// Answer is what a provider sends a visitor back with.
type Answer struct {
	Code, State, Issuer string
	// Error is the provider's code where it gives none ("access_denied").
	Error string
}

// ReadAnswer reads the query of a callback. Parameters that belong to the protocol stand
// once; others, which providers add, are left alone.
func ReadAnswer(rawQuery string) (Answer, error) {
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Answer{}, errors.New("the query cannot be read")
	}
	var a Answer
	for name, to := range map[string]*string{"code": &a.Code, "state": &a.State, "iss": &a.Issuer, "error": &a.Error} {
		values := q[name]
		if len(values) > 1 || len(values) == 1 && (values[0] == "" || len(values[0]) > maxCode) {
			return Answer{}, fmt.Errorf("the parameter %s stands more than once, is empty or too long", name)
		}
		if len(values) == 1 {
			*to = values[0]
		}
	}
	if !visible(a.Code) || !visible(a.Error) {
		return Answer{}, errors.New("the code or the error holds something other than visible ASCII characters")
	}
	return a, nil
}

func visible(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Reason says which rule an answer breaks.
type Reason string

// The reasons.
const (
	NotBegun    Reason = "not_begun"    // another browser, another connection, too late
	WrongState  Reason = "wrong_state"  // not the state of this browser's attempt
	WrongIssuer Reason = "wrong_issuer" // not the server that was asked
	Declined    Reason = "declined"     // the provider gives no code
	NoCode      Reason = "no_code"      // neither a code nor an error
)

// Accept holds an answer against the attempt and gives the code. The state is compared
// first: without it the answer may be anybody's.
func (a Attempt) Accept(ans Answer, s Server) (code string, refused Reason) {
	switch {
	case a.State == "" || subtle.ConstantTimeCompare([]byte(a.State), []byte(ans.State)) != 1:
		return "", WrongState
	case a.Issuer != s.Issuer, ans.Issuer != "" && ans.Issuer != s.Issuer, ans.Issuer == "" && s.SaysIssuer:
		return "", WrongIssuer
	case ans.Error != "":
		return "", Declined
	case ans.Code == "":
		return "", NoCode
	}
	return ans.Code, ""
}
