package grant

import (
	"context"
	"strings"
	"time"

	"sallyport/internal/authcode"
)

// Account is what a visitor may know of a grant.
type Account struct {
	Connection string
	// Ended: the provider does not take it any more.
	Ended bool
	Begun time.Time
	// Scopes are what the provider says that was allowed; it may be less than was asked for.
	Scopes []string
}

// List gives the accounts that a subject of a site has connected, by connection.
func (d *Desk) List(ctx context.Context, site, subject string) ([]Account, error) {
	name, err := d.o.Pseudonym(site, subject)
	if err != nil {
		return nil, err
	}
	all, err := d.o.Store.ListGrants(ctx, site, name)
	if err != nil {
		return nil, storeFault(err)
	}
	var out []Account
	for _, s := range all {
		a := Account{Connection: s.Connection, Ended: s.Ended, Begun: s.Begun}
		if !s.Ended {
			t, err := d.open(ctx, s)
			if err != nil {
				return nil, err
			}
			a.Scopes = strings.Fields(t.Scope)
		}
		out = append(out, a)
	}
	return out, nil
}

// Disconnect forgets a grant and then ends it at the provider (RFC 7009). was reports whether
// there was one; revoked, whether the provider was told: where it could not be, or has no
// address for it, the visitor ends it in the provider's own settings.
func (d *Desk) Disconnect(ctx context.Context, a At, subject string) (was, revoked bool, err error) {
	ctx = context.WithoutCancel(ctx)
	key, err := d.key(a, subject)
	if err != nil {
		return false, false, err
	}
	s, was, err := d.o.Store.DeleteGrant(ctx, key)
	if err != nil {
		return false, false, storeFault(err)
	}
	d.calm(key)
	if !was || s.Ended {
		return was, false, nil
	}
	if err := d.revoke(ctx, a, s); err != nil {
		d.o.Log.Warn("a grant was deleted here, and not ended at the provider", "site", key.Site, "connection", key.Connection, "error", err)
		return true, false, nil
	}
	return true, true, nil
}

// Forget deletes all grants of a subject of a site, because a person is to be forgotten, and
// then ends them at their providers as far as at still knows their connections. It gives how
// many there were; a provider that cannot be told keeps nobody's tokens here.
func (d *Desk) Forget(ctx context.Context, site, subject string, at func(connection string) (At, bool)) (n int, err error) {
	ctx = context.WithoutCancel(ctx)
	name, err := d.o.Pseudonym(site, subject)
	if err != nil {
		return 0, err
	}
	all, err := d.o.Store.ListGrants(ctx, site, name)
	if err != nil {
		return 0, storeFault(err)
	}
	for _, listed := range all {
		s, was, err := d.o.Store.DeleteGrant(ctx, listed.Key)
		if err != nil {
			return n, storeFault(err)
		}
		if !was {
			continue
		}
		n++
		d.calm(listed.Key)
		if a, known := at(s.Connection); known && !s.Ended {
			if err := d.revoke(ctx, a, s); err != nil {
				d.o.Log.Warn("a grant was deleted here, and not ended at the provider", "site", site, "connection", s.Connection, "error", err)
			}
		}
	}
	return n, nil
}

// revoke ends the refresh token, and with it the grant; the access token where there is no
// other.
func (d *Desk) revoke(ctx context.Context, a At, s Stored) error {
	t, err := d.open(ctx, s)
	if err != nil {
		return err
	}
	server, _, err := d.server(ctx, a)
	if err != nil {
		return err
	}
	token, hint := t.Refresh, "refresh_token"
	if token.Empty() {
		token, hint = t.Access, "access_token"
	}
	return authcode.Revoke(ctx, d.o.Way(a.Connection, a.Pack), server, d.client(a, server.Method), authcode.Revocation{Token: token, Hint: hint})
}
