// Package problem is the one error that outsiders may see.
//
// A *problem.Error is made where a rule is broken: it carries a stable code, a
// safe detail (never a value of a secret or personal field, never an inner
// error's text) and a hint that says what to do instead. Everything else that
// goes wrong inside is an ordinary wrapped error, and becomes Internal at the
// edge: the caller then learns only the request id.
//
// The package guarantees that the zero Code maps to 500 and that the inner error
// never appears in the document. It does not log and does not write responses.
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// Outcome says what is known about the provider's side of a call after the
// first byte was sent to it. The zero value means that no byte was sent.
type Outcome string

// The outcomes of DESIGN.md §2.4.
const (
	NotSent      Outcome = ""
	Performed    Outcome = "performed"
	NotPerformed Outcome = "not_performed"
	Unknown      Outcome = "unknown"
)

// Fault is one broken rule inside a request, for instance one field that the
// contract refuses. Found never holds the value of a sensitive field.
type Fault struct {
	// Where is a parameter path such as line_items[0].price_data.unit_amount.
	Where string `json:"where"`
	// Pointer is the same place as a JSON pointer (RFC 6901) into the parameters by name.
	Pointer string `json:"pointer,omitempty"`
	// Found says what stands there, in words.
	Found string `json:"found,omitempty"`
	// Want says what the contract wants instead.
	Want string `json:"want,omitempty"`
	// Near is the nearest allowed name, when a name was unknown.
	Near string `json:"near,omitempty"`
	// Code is the problem that this fault alone makes of the request, where it is not the
	// usual one of the place that tells it.
	Code Code `json:"-"`
}

// Error is a broken rule as the caller may see it. It is immutable once
// returned and safe to share.
type Error struct {
	Code       Code
	Detail     string
	Hint       string
	RetryAfter time.Duration
	Outcome    Outcome
	// IdempotencyKey is the key to repeat the call with, where one was used.
	IdempotencyKey string
	Faults         []Fault
	// ProviderStatus and ProviderCode tell what the provider answered, where it
	// answered and the catalog marks the code as fit for visitors.
	ProviderStatus int
	ProviderCode   string
	// Extra holds further members of the document, such as the provider's own error
	// object for its SDK. A member that the document has already is left out,
	// but a text as status and a number as code, which stand in place of the document's own.
	Extra map[string]any
	// Err is for the log only.
	Err error
}

// New makes a problem with a safe detail.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap makes a problem that remembers an inner error for the log.
func Wrap(err error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), Err: err}
}

// WithHint returns e with a hint; it is meant for the place that makes e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error is for logs of our own: code and detail. The edge never sends it.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Detail, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Detail)
}

// Unwrap gives the inner error.
func (e *Error) Unwrap() error { return e.Err }

// From finds the problem in err's chain, or makes an Internal one that says
// nothing but remembers err for the log. From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var p *Error
	if errors.As(err, &p) {
		return p
	}
	return &Error{Code: Internal, Detail: "something went wrong inside the gate", Err: err}
}

// Document renders the RFC 9457 document (application/problem+json).
func (e *Error) Document(requestID string) []byte {
	info := Lookup(e.Code)
	doc := struct {
		Type           string  `json:"type"`
		Title          string  `json:"title"`
		Status         int     `json:"status"`
		Code           Code    `json:"code"`
		Detail         string  `json:"detail,omitempty"`
		Hint           string  `json:"hint,omitempty"`
		RequestID      string  `json:"request_id,omitempty"`
		Outcome        Outcome `json:"outcome,omitempty"`
		IdempotencyKey string  `json:"idempotency_key,omitempty"`
		RetryAfter     int     `json:"retry_after,omitempty"`
		ProviderStatus int     `json:"provider_status,omitempty"`
		ProviderCode   string  `json:"provider_code,omitempty"`
		Faults         []Fault `json:"faults,omitempty"`
	}{
		Type: "about:blank#" + string(info.Code), Title: info.Title, Status: e.Status(), Code: info.Code,
		Detail: e.Detail, Hint: e.Hint, RequestID: requestID, Outcome: e.Outcome,
		IdempotencyKey: e.IdempotencyKey, RetryAfter: e.RetryAfterSeconds(),
		ProviderStatus: e.ProviderStatus, ProviderCode: e.ProviderCode, Faults: e.Faults,
	}
	out, err := json.Marshal(doc)
	if err != nil { // only strings and numbers: cannot happen
		return []byte(`{"status":500,"code":"internal"}`)
	}
	return withExtra(out, e.Extra)
}

// withExtra adds members that the document does not have. Only code may be replaced, by a
// number, and status, by a text: clients of Google's web services read their own status there. The HTTP status
// stands in the status line, and RFC 9457 §3.1 has readers ignore a member of another type.
func withExtra(doc []byte, extra map[string]any) []byte {
	if len(extra) == 0 {
		return doc
	}
	if own, ok := extra["status"].(string); ok {
		if replaced, err := withStatus(doc, own); err == nil {
			doc = replaced
		}
	}
	if own, ok := extra["code"].(int); ok {
		doc = withNumber(doc, own)
	}
	var have map[string]json.RawMessage
	if json.Unmarshal(doc, &have) != nil {
		return doc
	}
	out := doc[:len(doc)-1]
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if _, taken := have[name]; taken {
			continue
		}
		member, err := json.Marshal(map[string]any{name: extra[name]})
		if err != nil {
			continue
		}
		out = append(append(out, ','), member[1:len(member)-1]...)
	}
	return append(out, '}')
}

var codeMember = regexp.MustCompile(`"code":"([a-z_]+)"`)

// withNumber puts a provider's number in the place of code, for SDKs that read one and fail on
// a text; the code itself then stands in gate_code, and in type.
func withNumber(doc []byte, n int) []byte {
	at := codeMember.FindSubmatchIndex(doc)
	if at == nil {
		return doc
	}
	return slices.Concat(doc[:at[0]], fmt.Appendf(nil, `"code":%d,"gate_code":"%s"`, n, doc[at[2]:at[3]]), doc[at[1]:])
}

var statusMember = regexp.MustCompile(`"status":[0-9]+`)

func withStatus(doc []byte, status string) ([]byte, error) {
	member, err := json.Marshal(status)
	at := statusMember.FindIndex(doc)
	if err != nil || at == nil {
		return doc, err
	}
	return slices.Concat(doc[:at[0]], []byte(`"status":`), member, doc[at[1]:]), nil
}

// Status is the HTTP status of the problem. A provider's own refusal keeps the
// provider's status.
func (e *Error) Status() int {
	if e.Code == ProviderRefused && e.ProviderStatus >= 400 && e.ProviderStatus < 500 {
		return e.ProviderStatus
	}
	return Lookup(e.Code).Status
}

// RetryAfterSeconds is RetryAfter rounded up to whole seconds (RFC 9110 §10.2.3).
func (e *Error) RetryAfterSeconds() int {
	if e.RetryAfter <= 0 {
		return 0
	}
	return int((e.RetryAfter + time.Second - 1) / time.Second)
}
