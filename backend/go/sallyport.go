// Package sallyport is what a site's backend needs beside its site key: it signs permits and
// vouchers, and verifies or claims receipts. One file, standard library only: copy it into
// your project, or import it.
//
//	token, err := sallyport.SignPermit(siteKey, sallyport.Permit{
//		Site: "shop", Connection: "payments", Mode: "live", Operation: "create-payment-intent",
//		Origin: "https://shop.example", Session: visit, // from visit() in the page
//		Sealed: map[string]any{"amount": 1900},
//	})
//
// Formats: docs/formats/permit.md and docs/formats/receipt.md; backend/vectors.json holds
// examples that every helper passes.
package sallyport

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AnySession as a permit's Session lets every visit use it. Name the visit where you can.
const AnySession = "any"

const maxLife = 15 * time.Minute

// Permit is what one call may be. All texts are required; what is zero below has a default.
type Permit struct {
	Site, Connection, Mode, Operation, Origin, Session string
	// Sealed are the values by parameter path: exactly those that the site's file seals.
	Sealed map[string]any
	Uses   int           // calls that it allows; 0: one
	Life   time.Duration // at most 15 minutes; 0: five minutes
	ID     string        // uses of one id are counted together; "": random
	Now    time.Time     // zero: the clock
}

// Voucher says that your backend knows the visitor of a visit.
type Voucher struct {
	Site, Session string
	Life          time.Duration // at most 15 minutes; 0: five minutes
	ID            string        // "": random
	Now           time.Time     // zero: the clock
}

// SignPermit signs a permit with a site key (sallyport keys create SITE).
func SignPermit(siteKey string, p Permit) (string, error) {
	now, life, err := times(p.Now, p.Life)
	if err != nil {
		return "", fmt.Errorf("sign permit: %w", err)
	}
	for name, v := range map[string]string{"Site": p.Site, "Connection": p.Connection, "Mode": p.Mode, "Operation": p.Operation, "Origin": p.Origin, "Session": p.Session} {
		if v == "" {
			return "", fmt.Errorf("sign permit: %s is required", name)
		}
	}
	if p.Sealed == nil {
		p.Sealed = map[string]any{}
	}
	return sign("sallyport-permit+jwt", siteKey, struct {
		ID         string         `json:"jti"`
		Site       string         `json:"site"`
		Connection string         `json:"connection"`
		Mode       string         `json:"mode"`
		Operation  string         `json:"operation"`
		Origin     string         `json:"origin"`
		Session    string         `json:"session"`
		Sealed     map[string]any `json:"sealed"`
		Uses       int            `json:"uses"`
		NotBefore  int64          `json:"nbf"`
		Expires    int64          `json:"exp"`
	}{orRandom(p.ID), p.Site, p.Connection, p.Mode, p.Operation, p.Origin, p.Session, p.Sealed, max(p.Uses, 1), now, now + life})
}

// SignVoucher signs a voucher with a site key that is for all connections.
func SignVoucher(siteKey string, v Voucher) (string, error) {
	now, life, err := times(v.Now, v.Life)
	if err != nil {
		return "", fmt.Errorf("sign voucher: %w", err)
	}
	if v.Site == "" || v.Session == "" {
		return "", errors.New("sign voucher: Site and Session are required")
	}
	return sign("sallyport-voucher+jwt", siteKey, struct {
		ID      string `json:"jti"`
		Site    string `json:"site"`
		Session string `json:"session"`
		Expires int64  `json:"exp"`
	}{orRandom(v.ID), v.Site, v.Session, now + life})
}

func times(now time.Time, life time.Duration) (from, seconds int64, err error) {
	if now.IsZero() {
		now = time.Now()
	}
	if life == 0 {
		life = 5 * time.Minute
	}
	if life < time.Second || life > maxLife {
		return 0, 0, fmt.Errorf("a life of %s is not between one second and %s", life, maxLife)
	}
	return now.Unix(), int64(life / time.Second), nil
}

func orRandom(id string) string {
	if id != "" {
		return id
	}
	return rand.Text()
}

// sign derives the permit key from the printed site key and writes a compact JWS.
func sign(typ, siteKey string, claims any) (string, error) {
	if len(siteKey) < 8 {
		return "", errors.New("sign: the site key is missing")
	}
	seed, err := hkdf.Key(sha256.New, []byte(siteKey), nil, "sallyport/v1/site-key/permit", ed25519.SeedSize)
	if err != nil {
		return "", fmt.Errorf("sign: derive the permit key: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	var payload bytes.Buffer
	enc := json.NewEncoder(&payload)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(claims); err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	header := `{"alg":"EdDSA","typ":"` + typ + `","kid":"` + b64(key.Public().(ed25519.PublicKey)) + `"}`
	signed := b64([]byte(header)) + "." + b64(bytes.TrimSuffix(payload.Bytes(), []byte("\n")))
	token := signed + "." + b64(ed25519.Sign(key, []byte(signed)))
	if len(token) > 4096 {
		return "", fmt.Errorf("sign: the token has %d bytes, more than the 4096 that the gate reads: seal less", len(token))
	}
	return token, nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Receipt is what the gate states. Fields are values of the provider's answer by path; its
// numbers are json.Number.
type Receipt struct {
	Issuer     string         `json:"iss"`
	Site       string         `json:"aud"`
	ID         string         `json:"jti"`
	Connection string         `json:"connection"`
	Mode       string         `json:"mode"`
	Operation  string         `json:"operation"`
	Fields     map[string]any `json:"fields"`
	Session    string         `json:"session"`
	Origin     string         `json:"origin"`
	IssuedAt   int64          `json:"iat"`
	Expires    int64          `json:"exp"`
}

// Expected is what a receipt must be about. Site, Connection, Mode and Operation are
// required: a receipt of a test connection or of another operation proves nothing here.
type Expected struct {
	Site, Connection, Mode, Operation string
	Session                           string // "": any visit
}

// ReceiptError is why a receipt does not count. Reason is malformed, key, signature, claims,
// site, connection, mode, operation, session, expired, early, used or refused.
type ReceiptError struct{ Reason string }

// Error says the reason.
func (e *ReceiptError) Error() string { return "the receipt does not hold: " + e.Reason }

// Used remembers receipts. Claim must be atomic over all processes of your backend, such as
// an INSERT with a primary key in the transaction that fulfils the order; it reports whether
// the id was not there. Rows may go after expires.
type Used interface {
	Claim(ctx context.Context, id string, expires time.Time) (first bool, err error)
}

// VerifyReceipt verifies a receipt offline, with the gate's key set, and uses it up.
func VerifyReceipt(ctx context.Context, token string, want Expected, keys *KeySet, used Used) (Receipt, error) {
	var r Receipt
	parts := strings.Split(token, ".")
	if len(token) > 4096 || len(parts) != 3 {
		return r, &ReceiptError{"malformed"}
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || part == "" || b64(raw[i]) != part {
			return r, &ReceiptError{"malformed"}
		}
	}
	var header map[string]any
	if json.Unmarshal(raw[0], &header) != nil || len(header) != 3 || header["alg"] != "EdDSA" || header["typ"] != "sallyport-receipt+jwt" {
		return r, &ReceiptError{"malformed"}
	}
	kid, _ := header["kid"].(string)
	key, err := keys.find(ctx, kid)
	if err != nil {
		return r, err
	}
	if !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), raw[2]) {
		return r, &ReceiptError{"signature"}
	}
	if r, err = readReceipt(raw[1]); err != nil {
		return r, err
	}
	now := keys.now().Unix()
	switch {
	case now >= r.Expires:
		return r, &ReceiptError{"expired"}
	case r.IssuedAt > now+60:
		return r, &ReceiptError{"early"}
	}
	if err := want.check(r); err != nil {
		return r, err
	}
	first, err := used.Claim(ctx, r.ID, time.Unix(r.Expires, 0))
	if err != nil {
		return r, fmt.Errorf("verify receipt: look whether it was used: %w", err)
	}
	if !first {
		return r, &ReceiptError{"used"}
	}
	return r, nil
}

func readReceipt(payload []byte) (r Receipt, err error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&r); err != nil || r.Issuer != "sallyport" || r.ID == "" || r.Fields == nil || r.IssuedAt <= 0 ||
		r.Expires <= r.IssuedAt || r.Expires-r.IssuedAt > 300 {
		return r, &ReceiptError{"claims"}
	}
	return r, nil
}

func (w Expected) check(r Receipt) error {
	if w.Site == "" || w.Connection == "" || w.Mode == "" || w.Operation == "" {
		return errors.New("verify receipt: name the site, connection, mode and operation that it must be about")
	}
	switch {
	case r.Site != w.Site:
		return &ReceiptError{"site"}
	case r.Connection != w.Connection:
		return &ReceiptError{"connection"}
	case r.Mode != w.Mode:
		return &ReceiptError{"mode"}
	case r.Operation != w.Operation:
		return &ReceiptError{"operation"}
	case w.Session != "" && r.Session != w.Session:
		return &ReceiptError{"session"}
	}
	return nil
}

// ClaimReceipt has the gate verify a receipt and use it up: no key set and no memory of your
// own are needed. gate is the site's address, such as https://api.shop.example. If the
// answer is lost on the way, the receipt is used up: then look the order up at the provider.
func ClaimReceipt(ctx context.Context, gate, siteKey, token string, want Expected) (Receipt, error) {
	body, _ := json.Marshal(map[string]string{"receipt": token}) // a text always fits
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(gate, "/")+"/receipts", bytes.NewReader(body))
	if err != nil {
		return Receipt{}, fmt.Errorf("claim receipt: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+siteKey)
	req.Header.Set("Content-Type", "application/json")
	answer, err := ask(req)
	if err != nil {
		return Receipt{}, fmt.Errorf("claim receipt: %w", err)
	}
	switch answer.status {
	case http.StatusOK:
		r, err := readReceipt(answer.body)
		if err == nil {
			err = want.check(r)
		}
		return r, err
	case http.StatusConflict:
		return Receipt{}, &ReceiptError{"used"}
	case http.StatusForbidden:
		return Receipt{}, &ReceiptError{"refused"}
	}
	return Receipt{}, fmt.Errorf("claim receipt: the gate answered with status %d", answer.status)
}

// KeySet is the gate's key set, kept as long as the gate says. It is safe for concurrent use.
type KeySet struct {
	url string
	now func() time.Time

	mu    sync.Mutex
	keys  map[string]ed25519.PublicKey
	until time.Time
	asked time.Time
}

// NewKeySet reads the set from url, https://GATE/.well-known/jwks.json, when it is needed.
func NewKeySet(url string) *KeySet { return &KeySet{url: url, now: time.Now} }

// At gives the set another clock, for tests.
func (k *KeySet) At(now func() time.Time) *KeySet { k.now = now; return k }

// find reads the set again when it is too old, and for an unknown key at most once a minute.
func (k *KeySet) find(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	key, ok := k.keys[kid]
	if now.After(k.until) || !ok && now.Sub(k.asked) >= time.Minute {
		k.asked = now
		if err := k.read(ctx, now); err != nil {
			return nil, fmt.Errorf("verify receipt: read the gate's key set: %w", err)
		}
		key, ok = k.keys[kid]
	}
	if !ok {
		return nil, &ReceiptError{"key"}
	}
	return key, nil
}

var maxAge = regexp.MustCompile(`max-age=([0-9]{1,6})`)

func (k *KeySet) read(ctx context.Context, now time.Time) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	answer, err := ask(req)
	if err != nil {
		return err
	}
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X string }
	}
	if answer.status != http.StatusOK || json.Unmarshal(answer.body, &set) != nil {
		return fmt.Errorf("it was answered with status %d, or is no key set", answer.status)
	}
	k.keys, k.until = map[string]ed25519.PublicKey{}, now.Add(time.Minute)
	if m := maxAge.FindStringSubmatch(answer.header.Get("Cache-Control")); m != nil {
		seconds, _ := strconv.Atoi(m[1]) // six digits at most
		k.until = now.Add(time.Duration(seconds) * time.Second)
	}
	for _, one := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(one.X)
		if err == nil && one.Kty == "OKP" && one.Crv == "Ed25519" && len(x) == ed25519.PublicKeySize {
			k.keys[one.Kid] = x
		}
	}
	return nil
}

type answered struct {
	status int
	header http.Header
	body   []byte
}

// client follows no redirect: a site key goes where it was sent to, or nowhere.
var client = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func ask(req *http.Request) (answered, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answered{resp.StatusCode, resp.Header, body}, err
}
