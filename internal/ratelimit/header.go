package ratelimit

import (
	"net/http"
	"strconv"
	"time"
)

// The response fields of draft-ietf-httpapi-ratelimit-headers (-08 and later: lists of
// structured items), and of RFC 9110 §10.2.3.
const (
	HeaderPolicy     = "RateLimit-Policy"
	HeaderLimit      = "RateLimit"
	HeaderRetryAfter = "Retry-After"
)

// SetHeader writes RateLimit-Policy (every rule that was asked), RateLimit (the one
// that decided) and, on a refusal, Retry-After. Without checks it writes nothing.
func SetHeader(h http.Header, checks []Check, d Decision) {
	if len(checks) == 0 {
		return
	}
	var b []byte
	for i, c := range checks {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendName(b, c.Level, c.Rule)
		b = strconv.AppendInt(append(b, ";q="...), int64(max(c.Rule.Calls, 0)), 10)
		b = strconv.AppendInt(append(b, ";w="...), seconds(c.Rule.Window), 10)
	}
	h[http.CanonicalHeaderKey(HeaderPolicy)] = []string{string(b)}
	b = appendName(b[:0], d.Level, d.Rule)
	b = strconv.AppendInt(append(b, ";r="...), int64(d.Remaining), 10)
	b = strconv.AppendInt(append(b, ";t="...), seconds(d.reset()), 10)
	h[http.CanonicalHeaderKey(HeaderLimit)] = []string{string(b)}
	if !d.Allowed {
		h[HeaderRetryAfter] = []string{strconv.FormatInt(max(1, seconds(d.RetryAfter)), 10)}
	}
}

// reset is the t parameter: how long until more calls pass than now. A refused caller
// is told the wait, an allowed one when the burst is whole again.
func (d Decision) reset() time.Duration {
	if d.Allowed {
		return d.ResetAfter
	}
	return d.RetryAfter
}

// appendName names a policy so that no two of one call are alike: "operation-session-60".
func appendName(b []byte, level Level, r Rule) []byte {
	b = append(b, '"')
	b = append(b, level.String()...)
	b = append(b, '-')
	b = append(b, r.Per...)
	b = append(b, '-')
	b = strconv.AppendInt(b, seconds(r.Window), 10)
	return append(b, '"')
}

// seconds rounds up: a client that waits this long is never early.
func seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Second - 1) / time.Second)
}
