package jws

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Reader takes claims out of a payload, each of its type, and remembers the first fault.
// Done then refuses what was not asked for.
type Reader struct {
	claims map[string]any
	taken  int
	err    error
}

// NewReader reads the claims of a token.
func NewReader(t Token) *Reader { return &Reader{claims: t.Claims} }

// Text is a claim of 1 to most visible ASCII characters.
func (r *Reader) Text(name string, most int) string {
	v, ok := r.take(name).(string)
	if !ok || v == "" || len(v) > most {
		r.fail("%s is missing, or not a text of 1 to %d characters", name, most)
		return ""
	}
	for _, c := range []byte(v) {
		if c <= ' ' || c >= 0x7f {
			r.fail("%s holds something other than visible ASCII characters", name)
			return ""
		}
	}
	return v
}

// Whole is a claim that is a whole number from least to most, written in digits.
func (r *Reader) Whole(name string, least, most int64) int64 {
	v, ok := r.take(name).(json.Number)
	n, err := strconv.ParseInt(v.String(), 10, 64)
	if !ok || err != nil || v.String() != strconv.FormatInt(n, 10) || n < least || n > most {
		r.fail("%s is missing, or not a whole number from %d to %d", name, least, most)
		return 0
	}
	return n
}

// Time is a NumericDate of RFC 7519 in whole seconds.
func (r *Reader) Time(name string) time.Time {
	return time.Unix(r.Whole(name, 1, 1<<40), 0)
}

// Object is a claim that is a JSON object.
func (r *Reader) Object(name string) map[string]any {
	v, ok := r.take(name).(map[string]any)
	if !ok {
		r.fail("%s is missing, or not an object", name)
	}
	return v
}

// Done is the first fault, or an error where there are claims that nobody asked for.
func (r *Reader) Done() error {
	if r.err == nil && r.taken != len(r.claims) {
		return fmt.Errorf("it has claims that are not known here")
	}
	return r.err
}

func (r *Reader) take(name string) any {
	v, ok := r.claims[name]
	if ok {
		r.taken++
	}
	return v
}

func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("its claim "+format, args...)
	}
}
