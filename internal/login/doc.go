// Package login signs visitors of a site in with an account that they have elsewhere, and
// remembers who is signed in.
//
// It guarantees: a site knows a person by a pseudonym of its own (a keyed hash of issuer and
// subject: the same at one site, another at every other) and by the claims that its file
// declares, and by nothing else; no account is found or joined by e-mail address; an e-mail
// address that the provider does not call verified is not passed on as email; a visitor goes
// back only to an exact origin of the site; what is stored holds no provider's token, and
// personal data only sealed with the site's data key. An attempt counts once, in the browser
// that began it (package authcode).
//
// It does not speak HTTP to browsers, makes no session tokens and does not revoke them, and
// does not dial.
package login
