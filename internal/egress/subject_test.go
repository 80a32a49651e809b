package egress_test

import (
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// signedIn takes every token for a visit of that subject.
type signedIn string

func (s signedIn) Verify(token, siteName string, origin site.Origin) (session.Session, error) {
	v := session.Session{ID: token, Site: siteName, Origin: origin}
	if s != "" {
		v.Vouched, v.Login = session.ByLogin, session.Login{ID: "login-1", Subject: string(s), Ends: time.Now().Add(time.Hour)}
	}
	return v, nil
}

func accounts() *site.Connection {
	return &site.Connection{Name: "google", Provider: "google-signin", Mode: provider.Live, Connect: &site.Connect{},
		Browser: map[string]*site.BrowserRule{"get-userinfo": {Operation: "get-userinfo"}}, Backend: []string{"get-userinfo"}}
}

// TestWhoseAccountIsUsed: a browser uses the account of whoever is signed in and can name
// nobody; a backend says whose, once.
func TestWhoseAccountIsUsed(t *testing.T) {
	const path = "/v1/userinfo"
	for name, test := range map[string]struct {
		login   string
		header  []string
		backend bool
		want    string
		code    problem.Code
	}{
		"signed in":                 {login: "ada", want: "ada"},
		"signed in, names another":  {login: "ada", header: []string{egress.SubjectHeader, "bob"}, want: "ada"},
		"nobody":                    {code: problem.LoginRequired},
		"nobody, names somebody":    {header: []string{egress.SubjectHeader, "ada"}, code: problem.LoginRequired},
		"a backend says whose":      {backend: true, header: []string{egress.SubjectHeader, "ada"}, want: "ada"},
		"a backend says nobody":     {backend: true, code: problem.BadHeader},
		"a backend names two words": {backend: true, header: []string{egress.SubjectHeader, "ada bob"}, code: problem.BadHeader},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, accounts())
			w.deps.Sessions = signedIn(test.login)
			w.build(accounts())
			c := browser("google", "GET", path, "", test.header...)
			if test.backend {
				c = w.backend("google", "GET", path, "", test.header...)
			}
			a := w.Call(t.Context(), c)
			if test.code != "" {
				refused(t, a, test.code)
				if len(w.upstream.calls) != 0 {
					t.Error("it was sent")
				}
				return
			}
			if len(w.upstream.calls) != 1 || w.upstream.calls[0].Subject != test.want {
				t.Errorf("answer %+v; sent %+v, want once for %s", a.Problem, w.upstream.calls, test.want)
			}
		})
	}
}
