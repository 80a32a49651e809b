package egress

import (
	"context"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// SubjectHeader is how a site's backend says for which visitor it calls.
const SubjectHeader = "Sallyport-Subject"

// usesGrant reports whether an operation is called with the token of a visitor's own account.
func (c *connection) usesGrant(op *contract.Operation) bool {
	if c.Connect == nil || c.pack == nil {
		return false
	}
	_, auth, ok := c.pack.AuthFor(op, c.Auth)
	return ok && auth.Kind == provider.AuthUserToken
}

// findSubject says for whom a call is made whose operation needs a visitor's own account: for
// whoever is signed in at the browser, or for whom the site's backend names. That there is a
// grant is looked at where its token is put on.
func findSubject(_ context.Context, _ *Gate, x *exchange) Decision {
	if !x.conn.usesGrant(x.op) {
		return allow("no visitor's account is used")
	}
	if x.caller == site.Browser {
		if !x.session.Login.Is() {
			return deny(problem.New(problem.LoginRequired, "operation %s uses the visitor's own account, and nobody is signed in", x.op.ID).
				WithHint("send the visitor to login/CONNECTION first; client.js: login"))
		}
		x.onBehalf = x.session.Login.Subject
		return allow("the visitor's own account")
	}
	subject := x.call.Header.Get(SubjectHeader)
	if subject == "" || len(subject) > 255 || len(x.call.Header.Values(SubjectHeader)) != 1 || strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return deny(problem.New(problem.BadHeader, "operation %s uses a visitor's own account, and it is not said whose", x.op.ID).
			WithHint("send %s, once, with the subject that the visitor's statement names (docs/guide/connect-accounts.md)", SubjectHeader))
	}
	x.onBehalf = subject
	return allow("the account of whom the backend names")
}
