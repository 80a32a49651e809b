package provider

import (
	"slices"
	"strings"
)

// Login says how visitors sign in with a provider. Kind oidc reads everything else from the
// issuer's own metadata; kind profile is for OAuth without ID tokens, where a profile is
// read with the visitor's access token.
type Login struct {
	Kind string `json:"kind"` // oidc, profile
	// Issuer is the issuer's name (oidc; empty: the connection's file names it), or the name
	// that stands for the provider in pseudonyms (profile).
	Issuer string `json:"issuer,omitempty"`
	// ClientID and ClientSecret are names of credentials.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	// Scopes are what is always asked for; Claims are what a site may declare, each with the
	// scopes that it needs beside, and where it stands in what the provider says.
	Scopes []string         `json:"scopes"`
	Claims map[string]Claim `json:"claims"`
	// Domain is the parameter and the claim by which accounts are held to one organisation;
	// empty: there is none.
	Domain string `json:"domain,omitempty"`

	// Of kind profile: the addresses, with the catalog's version in them.
	Authorize string `json:"authorize,omitempty"`
	Token     string `json:"token,omitempty"` // GET with the client's secret in the query
	Profile   string `json:"profile,omitempty"`
	// Subject is the member of the profile that names the account, once and for ever.
	Subject string `json:"subject,omitempty"`
	// Fields is the query parameter of the profile that lists members.
	Fields string `json:"fields,omitempty"`
	// Proof is the query parameter with the HMAC-SHA256 of the access token under the
	// client's secret, in hex, that goes with every call for a visitor; empty: none.
	Proof string `json:"proof,omitempty"`
	// Inspect is the address that says for whom an access token was made: data.app_id,
	// data.user_id and data.is_valid. It is asked before the token is believed.
	Inspect string `json:"inspect,omitempty"`
	// Removal names the form field of the callbacks by which the provider tells that a visitor
	// wants data deleted or has taken the app's rights back: a payload signed with the
	// client's secret (HMAC-SHA256 over its base64url text). Empty: there are none.
	Removal string `json:"removal,omitempty"`
	Source  string `json:"source"`
}

// Claim is what a site may learn of a visitor who signed in.
type Claim struct {
	// From is the member of the provider's answer; empty: of the same name.
	From   string   `json:"from,omitempty"`
	Scopes []string `json:"scopes,omitempty"`
	// Verified is the member that must be true for the claim to be passed on; empty: none.
	Verified string `json:"verified,omitempty"`
}

// ClaimNames are what a site can declare, of whatever provider.
func ClaimNames() []string {
	return []string{"email", "email_unverified", "name", "given_name", "family_name", "picture", "locale"}
}

func (p *Pack) checkLogin(f *faults) {
	l := p.Login
	if l == nil {
		return
	}
	f.oneOf("login.kind", l.Kind, []string{"oidc", "profile"})
	f.text("login.source", l.Source)
	for where, name := range map[string]string{"login.client_id": l.ClientID, "login.client_secret": l.ClientSecret} {
		i := slices.IndexFunc(p.Credentials, func(c CredentialField) bool { return c.Name == name })
		if i < 0 || p.Credentials[i].Secret != strings.HasSuffix(where, "secret") {
			f.add("%s: %q is not a credential of the pack that is secret where it has to be", where, name)
		}
	}
	if len(l.Scopes) == 0 || len(l.Claims) == 0 {
		f.add("login: scopes or claims are missing")
	}
	for name, c := range l.Claims {
		f.oneOf("login.claims", name, ClaimNames())
		if name == "email" && c.Verified == "" {
			f.add("login.claims.email: name the member that says that the provider has verified it, or offer email_unverified")
		}
	}
	if l.Issuer != "" {
		f.https("login.issuer", l.Issuer)
	}
	l.checkKind(f)
}

func (l *Login) checkKind(f *faults) {
	own := map[string]string{"authorize": l.Authorize, "token": l.Token, "profile": l.Profile, "inspect": l.Inspect}
	for _, name := range sortedKeys(own) {
		switch {
		case l.Kind == "profile":
			f.https("login."+name, own[name])
		case own[name] != "":
			f.add("login.%s: only kind profile has it; an issuer's metadata name its addresses", name)
		}
	}
	if l.Kind == "profile" && (l.Issuer == "" || l.Subject == "" || l.Fields == "" || l.Domain != "") {
		f.add("login: kind profile needs issuer, subject and fields, and has no domain")
	}
	if l.Kind == "oidc" && (!slices.Contains(l.Scopes, "openid") || l.Removal+l.Proof+l.Subject+l.Fields != "") {
		f.add("login: kind oidc needs the scope openid, and has no subject, fields, proof and removal")
	}
}
