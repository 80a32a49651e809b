package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
	"sallyport/internal/webhook/scheme"
)

// Destination is where a connection's events go. It is immutable.
type Destination struct {
	// Name is SITE/CONNECTION/NAME, unique and the same after a restart.
	Name       string
	Site       string
	Connection string
	URL        string
	// Types it gets; empty: all.
	Types []string
	// Signer signs what is sent: Standard Webhooks, or the provider's own scheme.
	Signer Scheme
	// Unchanged: the request goes on as it came, but for its signature: sign_as: provider.
	Unchanged bool
	// Secrets are those of the site: the first signs; with Standard Webhooks all of them do.
	Secrets func(ctx context.Context) ([]secret.Value, error)
	// Ordered: one event of an object after the other.
	Ordered bool
	// AtOnce is how many attempts are made at the same time; 0: 8.
	AtOnce int
	// Every is the least time between the beginnings of two attempts; 0: none.
	Every time.Duration
	// Client reaches it: never redirects, only addresses that the file allows.
	Client *http.Client
}

const (
	// attemptTime bounds one attempt: Standard Webhooks asks for 15 to 30 s.
	attemptTime = 20 * time.Second
	// claimTime is longer than any attempt with what surrounds it.
	claimTime = time.Minute
	// longestWait bounds what a Retry-After can ask for.
	longestWait = 24 * time.Hour
	// maxReply is how much of an answer is read: the rest is of no use.
	maxReply = 64 << 10
)

// schedule is how long to wait after each failed attempt; after the last one the delivery is
// buried. It is that of Standard Webhooks 1.0.0 ("Retries"), with the first attempt at once.
var schedule = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}

// attempts is how many attempts a delivery gets.
var attempts = len(schedule) + 1

// after is when the next attempt is due, n attempts having failed, with a fifth of jitter
// either way and not before the destination asked for it.
func after(n int, asked time.Duration, now time.Time) time.Time {
	wait := schedule[min(max(n, 1), len(schedule))-1]
	wait = time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // jitter
	return now.Add(max(wait, min(asked, longestWait)))
}

// outcome is what an attempt came to.
type outcome struct {
	ok     bool
	gone   bool // 410: the destination wants no more
	status int
	reason string // why it failed, in a word
	asked  time.Duration
}

// send makes one attempt.
func (d *Destination) send(ctx context.Context, r scheme.Request, j Job, now time.Time) outcome {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	req, err := d.request(ctx, r, j, now)
	if err != nil {
		return outcome{reason: "signing"}
	}
	resp, err := d.Client.Do(req)
	if err != nil {
		return outcome{reason: reason(err)}
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply)) //nolint:errcheck // the status decides
	out := outcome{status: resp.StatusCode, ok: resp.StatusCode/100 == 2, gone: resp.StatusCode == http.StatusGone}
	if !out.ok {
		out.reason, out.asked = "status", retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return out
}

// request makes the signed request of an attempt.
func (d *Destination) request(ctx context.Context, r scheme.Request, j Job, now time.Time) (*http.Request, error) {
	secrets, err := d.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	if len(secrets) == 0 {
		return nil, errors.New("no secret to sign with")
	}
	out := scheme.Request{Method: http.MethodPost, URL: d.URL, Header: http.Header{}, Body: r.Body, Now: now}
	if d.Unchanged {
		out.Method, out.Header = r.Method, r.Header.Clone()
		if out.Method == http.MethodGet {
			out.URL += query(d.URL, r.URL)
		}
		if out, err = d.Signer.Sign(out, secrets[0]); err != nil {
			return nil, err
		}
	} else if out, err = d.standard(out, r, j, secrets); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, out.Method, out.URL, strings.NewReader(string(out.Body)))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header = out.Header
	req.Header.Set("Sallyport-Delivery", j.ID)
	req.Header.Set("Sallyport-Attempt", strconv.Itoa(j.Attempts+1))
	return req, nil
}

// standard signs by Standard Webhooks: one signature for each secret, so that a site changes its
// own without a gap.
func (d *Destination) standard(out, r scheme.Request, j Job, secrets []secret.Value) (scheme.Request, error) {
	var signatures []string
	for _, s := range secrets {
		one := out
		one.Header = http.Header{"Webhook-Id": {j.ID}}
		signed, err := d.Signer.Sign(one, s)
		if err != nil {
			return scheme.Request{}, err
		}
		signatures = append(signatures, signed.Header.Get("Webhook-Signature"))
		out.Header = signed.Header
	}
	h := out.Header
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
	if t := r.Header.Get("Content-Type"); t != "" {
		h.Set("Content-Type", t)
	}
	h.Set("User-Agent", "Sallyport")
	h.Set("Sallyport-Connection", j.Of.Connection)
	h.Set("Sallyport-Mode", j.Of.Mode)
	if j.Of.Type != "" {
		h.Set("Sallyport-Event-Type", j.Of.Type)
	}
	return out, nil
}

// query is what the event carried in its address, for a destination that has the same scheme.
func query(destination, came string) string {
	_, q, ok := strings.Cut(came, "?")
	if !ok || q == "" {
		return ""
	}
	if strings.Contains(destination, "?") {
		return "&" + q
	}
	return "?" + q
}

// reason says in a word why there was no answer.
func reason(err error) string {
	var p *problem.Error
	var ne net.Error
	switch {
	case errors.As(err, &p) && p.Code == problem.EgressDenied:
		return "address"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return "timeout"
	}
	return "unreachable"
}

// retryAfter reads the header: seconds or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 1<<31 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
