package hashivault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode"

	vault "github.com/hashicorp/vault/api"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

// Kind says in a word why Vault gave nothing. Kinds stand in alerts.
type Kind string

// The kinds of failures.
const (
	Sealed      Kind = "sealed"
	Unreachable Kind = "unreachable"
	Slow        Kind = "slow"
	Denied      Kind = "denied"      // 403: the token, or its policies
	LoginFailed Kind = "login"       // Vault refuses the credentials that the gate logs in with
	Missing     Kind = "missing"     // Vault answers that there is nothing
	Unusable    Kind = "unusable"    // an answer that is none: another server, a failure inside Vault
	Unreadable  Kind = "credentials" // what the gate logs in with cannot be read
	// Closed is told when the last good value of a secret has ended: calls that need it are refused.
	Closed Kind = "calls-refused"
)

// Failure is why Vault gave nothing. Its text is for operators and holds no secret.
type Failure struct {
	Kind Kind
	Text string // what was found and what to do
	Err  error
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// Unwrap gives the cause; secret.ErrNotFound where Vault answered that there is nothing.
func (f *Failure) Unwrap() error { return f.Err }

// everywhere tells failures of Vault as a whole, not of one secret.
func (f *Failure) everywhere() bool {
	return !slices.Contains([]Kind{Denied, Missing, Closed}, f.Kind)
}

// answers tells failures that are Vault's word and no outage.
func refusal(err error, codes ...int) bool {
	var r *vault.ResponseError
	return errors.As(err, &r) && slices.Contains(codes, r.StatusCode)
}

// failure says what an error of a request means.
func (s *Source) failure(ctx context.Context, what string, err error) *Failure {
	var known *Failure
	var answer *vault.ResponseError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &answer):
		return s.answered(what, answer)
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded), problemCode(err) == problem.UpstreamTimeout, timeout(err):
		return &Failure{Kind: Slow, Err: err, Text: fmt.Sprintf("Vault at %s did not answer within %s: look at its load and at the network between; secrets.vault.timeout allows more", s.o.Address, s.o.Timeout)}
	}
	return &Failure{Kind: Unreachable, Err: err, Text: "Vault at " + s.o.Address + " cannot be reached: " + whyUnreachable(err)}
}

func problemCode(err error) problem.Code {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func timeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func whyUnreachable(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, errRedirect):
		return "it answers with a redirect, which is not followed; name the address of the active node, or of the load balancer before all of them"
	case errors.Is(err, errTooLarge):
		return fmt.Sprintf("its answer has more than %d bytes", maxAnswer)
	case errors.As(err, &unknown):
		return "no authority that this machine trusts signed its certificate; name the one that did as secrets.vault.ca"
	case errors.As(err, &name):
		return "its certificate is of another name; write the name that it has as secrets.vault.tls_server_name"
	case errors.As(err, &invalid):
		return "its certificate is not valid (" + invalid.Error() + ")"
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "it speaks plain http; give Vault a certificate (http:// is for this machine only)"
	case problemCode(err) == problem.EgressDenied:
		return "the gate does not connect to that address"
	}
	return "is it running, is the address right, does a firewall let the gate through?"
}

// answered says what an answer that is no success means.
func (s *Source) answered(what string, r *vault.ResponseError) *Failure {
	f := &Failure{Err: r}
	words := said(r)
	switch {
	case r.StatusCode == http.StatusServiceUnavailable && strings.Contains(words, "sealed"):
		f.Kind, f.Text = Sealed, "Vault at "+s.o.Address+" is sealed: unseal it (`vault operator unseal`)"
	case r.StatusCode == http.StatusForbidden:
		f.Kind, f.Text = Denied, "Vault refuses "+what+" (403"+words+")"
	case r.StatusCode == http.StatusNotFound:
		f.Kind, f.Err, f.Text = Missing, errors.Join(secret.ErrNotFound, r), "Vault has nothing at "+what+" (404"+words+")"
	default:
		f.Kind, f.Text = Unusable, fmt.Sprintf("Vault answered %s with status %d%s", what, r.StatusCode, words)
	}
	return f
}

// said is what Vault's answer says, in one short line of plain characters.
func said(r *vault.ResponseError) string {
	if r.RawError || len(r.Errors) == 0 {
		return ""
	}
	text := strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) {
			return ' '
		}
		if c > unicode.MaxASCII || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, strings.Join(r.Errors, "; "))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return ": " + text
}
