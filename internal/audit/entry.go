package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

// ID is the sequence number of an entry, from 0, without gaps. It is also the
// entry's index in the Merkle log.
type ID uint64

// String is the number in decimal.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Kind says what an entry is about.
type Kind string

// The kinds. The log writes the wal-… kinds itself.
const (
	KindIntent        Kind = "intent"
	KindOutcome       Kind = "outcome"
	KindRefused       Kind = "refused"
	KindStarted       Kind = "started"
	KindStopped       Kind = "stopped"
	KindConfigLoaded  Kind = "config-loaded"
	KindConfigRefused Kind = "config-refused"
	KindFrozen        Kind = "frozen"
	KindThawed        Kind = "thawed"
	KindKeyCreated    Kind = "key-created"
	KindKeyRevoked    Kind = "key-revoked"
	KindSecretSet     Kind = "secret-set"
	KindSecretRotated Kind = "secret-rotated"
	KindSecretRemoved Kind = "secret-removed"
	// The steps of a rotation: a new value is stored, (rotated: it is sent,) the old one is out.
	KindSecretStaged   Kind = "secret-staged"
	KindSecretFinished Kind = "secret-finished"
	// KindSecretLeaked: replaced without an overlap, because somebody else has it.
	KindSecretLeaked Kind = "secret-leaked"
	// KindKeyRotated: a site key got a successor, and counts until its time.
	KindKeyRotated Kind = "key-rotated"
	// KindProbed: a provider was asked whether a credential is good; Name says what it answered.
	KindProbed       Kind = "probed"
	KindAdminLogin   Kind = "admin-login"
	KindAdminRefused Kind = "admin-refused"
	// KindReceiptClaimed: a site's backend used a receipt up.
	KindReceiptClaimed Kind = "receipt-claimed"
	KindLogin          Kind = "login"         // a visitor signed in
	KindLogout         Kind = "logout"        // a visitor signed out
	KindLoginRemoved   Kind = "login-removed" // an identity provider had a person forgotten; Name says why
	KindConnected      Kind = "connected"     // a visitor connected an account; Actor is the grant's hash
	KindDisconnected   Kind = "disconnected"  // a visitor disconnected it; Name says whether the provider was told
	KindGrantEnded     Kind = "grant-ended"   // the provider does not take a grant any more
	// KindAuthorityIssued: the certificate of the SDK port's authority was issued; Name is its fingerprint.
	KindAuthorityIssued Kind = "authority-issued"
	// KindTokenIssued: an SDK changed a site key for a token of some minutes; Name is the key's id.
	KindTokenIssued Kind = "token-issued"
	// KindOpenIDCode and KindOpenIDToken: the gate's OpenID provider signed a visitor in at a site's
	// server; Name is the client.
	KindOpenIDCode  Kind = "openid-code"
	KindOpenIDToken Kind = "openid-token"
	// KindEventReceived: a provider's event was verified and stored; Name is the event.
	KindEventReceived Kind = "event-received"
	// KindEventsReplayed: an operator had events delivered again; Name is how many deliveries.
	KindEventsReplayed Kind = "events-replayed"
	// KindDestinationEnabled and KindDestinationDisabled: an operator let events go to a
	// destination, or stopped them; Name is the destination.
	KindDestinationEnabled  Kind = "destination-enabled"
	KindDestinationDisabled Kind = "destination-disabled"
	KindAlert               Kind = "alert" // a guard or a budget wants an operator's eyes; Name says which and why

	KindWALTorn    Kind = "wal-torn"    // an unfinished group at the end was cut
	KindWALDamaged Kind = "wal-damaged" // entries From..To are in the tree only
	KindWALRetired Kind = "wal-retired" // segments before To were deleted
)

// Kinds lists every kind in documentation order. The result is the caller's.
func Kinds() []Kind {
	return []Kind{KindIntent, KindOutcome, KindRefused, KindStarted, KindStopped, KindConfigLoaded,
		KindConfigRefused, KindFrozen, KindThawed, KindKeyCreated, KindKeyRevoked, KindSecretSet,
		KindSecretRotated, KindSecretRemoved, KindAdminLogin, KindAdminRefused, KindAlert, KindReceiptClaimed, KindAuthorityIssued,
		KindSecretStaged, KindSecretFinished, KindSecretLeaked, KindKeyRotated, KindProbed, KindLogin, KindLogout, KindLoginRemoved,
		KindEventReceived, KindEventsReplayed, KindDestinationEnabled, KindDestinationDisabled,
		KindTokenIssued, KindOpenIDCode, KindOpenIDToken,
		KindConnected, KindDisconnected, KindGrantEnded,
		KindWALTorn, KindWALDamaged, KindWALRetired}
}

func (k Kind) known() bool {
	for _, one := range Kinds() {
		if one == k {
			return true
		}
	}
	return false
}

// own reports whether only the log itself may write k through its own paths.
func (k Kind) own() bool {
	switch k {
	case KindIntent, KindOutcome, KindWALTorn, KindWALDamaged, KindWALRetired:
		return true
	}
	return false
}

// Intent is one attempt that is about to be made. Visit, Client and
// IdempotencyKey are stored as keyed hashes; all others must be tokens: at most
// 128 of A-Z a-z 0-9 . _ : / # -, as names in configuration and contracts are.
type Intent struct {
	Request    string // request id
	Site       string
	Connection string
	Provider   string
	Operation  string
	Mode       string
	Caller     string
	Effects    []string
	Attempt    int    // from 1
	Config     string // hash of the configuration in force
	Visit      string
	// Client is cut to its network (IPv4 /24, IPv6 /56) before it is hashed.
	Client         netip.Addr
	IdempotencyKey string
}

// Outcome is how an attempt ended. Result problem.NotSent means that no byte left.
type Outcome struct {
	Result   problem.Outcome
	Status   int // the provider's; 0 where it did not answer
	Code     problem.Code
	Took     time.Duration
	BytesOut int64
	BytesIn  int64
}

// Event is a refusal or an act of administration. Actor and Visit are stored as
// keyed hashes (Actor and events without a site with the gate's own key).
type Event struct {
	Kind       Kind
	Request    string
	Site       string
	Connection string
	Operation  string
	Caller     string
	Code       problem.Code
	Config     string
	// Name is what was administered: a reference, a key's public id. Never a value.
	Name   string
	Actor  string
	Visit  string
	Client netip.Addr
}

// Entry is one entry as it is stored and shown. Visit, Prefix, Key and Actor are
// keyed hashes (see Pseudonym).
type Entry struct {
	Seq        ID           `json:"seq"`
	Time       time.Time    `json:"time"` // UTC; the order is that of Seq, not of Time
	Kind       Kind         `json:"kind"`
	Request    string       `json:"request,omitempty"`
	Site       string       `json:"site,omitempty"`
	Connection string       `json:"connection,omitempty"`
	Provider   string       `json:"provider,omitempty"`
	Operation  string       `json:"operation,omitempty"`
	Mode       string       `json:"mode,omitempty"`
	Caller     string       `json:"caller,omitempty"`
	Effects    []string     `json:"effects,omitempty"`
	Attempt    int          `json:"attempt,omitempty"`
	Config     string       `json:"config,omitempty"`
	Visit      string       `json:"visit,omitempty"`
	Prefix     string       `json:"prefix,omitempty"`
	Key        string       `json:"key,omitempty"`
	Intent     *ID          `json:"intent,omitempty"`
	Outcome    string       `json:"outcome,omitempty"` // performed, not_performed, unknown, not_sent
	Status     int          `json:"status,omitempty"`
	Code       problem.Code `json:"code,omitempty"`
	Micros     int64        `json:"micros,omitempty"`
	BytesOut   int64        `json:"bytes_out,omitempty"`
	BytesIn    int64        `json:"bytes_in,omitempty"`
	Name       string       `json:"name,omitempty"`
	Actor      string       `json:"actor,omitempty"`
	Reason     string       `json:"reason,omitempty"`
	Count      int64        `json:"count,omitempty"`
	From       *ID          `json:"from,omitempty"`
	To         *ID          `json:"to,omitempty"`
}

const (
	maxToken = 128
	maxEntry = 8 << 10 // the largest encoded entry that a reader accepts
)

// Pseudonym is how an identifier is stored: the first 16 bytes, in hex, of
// HMAC-SHA256 under the site's key of label, a zero byte and the value. Labels
// are "visit", "prefix", "key" and "actor".
func Pseudonym(key secret.Value, label, value string) string {
	mac := hmac.New(sha256.New, key.Expose())
	_, _ = io.WriteString(mac, label+"\x00"+value)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Prefix is the network that stands for a client address: IPv4 /24, IPv6 /56.
func Prefix(a netip.Addr) (netip.Prefix, bool) {
	if !a.IsValid() {
		return netip.Prefix{}, false
	}
	a = a.Unmap().WithZone("")
	bits := 56
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// encode renders e for the log: one line of JSON without a line feed.
func (e *Entry) encode() ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode audit entry %d: %w", e.Seq, err)
	}
	if len(b) > maxEntry {
		return nil, fmt.Errorf("encode audit entry %d: %d bytes, at most %d allowed", e.Seq, len(b), maxEntry)
	}
	return b, nil
}

// decode reads what encode wrote and nothing else: unknown fields, other spellings
// of the same entry and trailing bytes are errors.
func decode(b []byte) (Entry, error) {
	var e Entry
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return Entry{}, fmt.Errorf("decode audit entry: %w", err)
	}
	if again, err := e.encode(); err != nil || !bytes.Equal(again, b) {
		return Entry{}, errors.New("decode audit entry: not in the form that the log writes")
	}
	if !e.Kind.known() {
		return Entry{}, fmt.Errorf("decode audit entry %d: unknown kind", e.Seq)
	}
	return e, nil
}

// checkTokens refuses anything in which personal data or a secret could travel.
// Its error names the field and never the value.
func (e *Entry) checkTokens() error {
	named := []struct{ name, value string }{
		{"request", e.Request}, {"site", e.Site}, {"connection", e.Connection}, {"provider", e.Provider},
		{"operation", e.Operation}, {"mode", e.Mode}, {"caller", e.Caller}, {"config", e.Config},
		{"code", string(e.Code)}, {"name", e.Name}, {"outcome", e.Outcome}, {"reason", e.Reason},
	}
	for _, n := range named {
		if !token(n.value) {
			return fmt.Errorf("audit field %s is not a token (at most %d of A-Z a-z 0-9 . _ : / # -)", n.name, maxToken)
		}
	}
	if len(e.Effects) > 16 {
		return errors.New("audit field effects has more than 16 members")
	}
	for _, effect := range e.Effects {
		if !token(effect) {
			return errors.New("audit field effects holds something that is not a token")
		}
	}
	return nil
}

func token(s string) bool {
	if len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '/', c == '#', c == '-':
		default:
			return false
		}
	}
	return true
}

func outcomeName(o problem.Outcome) (string, error) {
	switch o {
	case problem.NotSent:
		return "not_sent", nil
	case problem.Performed, problem.NotPerformed, problem.Unknown:
		return string(o), nil
	}
	return "", errors.New("audit outcome is none of performed, not_performed, unknown and not sent")
}
