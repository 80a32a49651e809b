package receipt

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// Desk is where a site's backend claims receipts. It is safe for concurrent use.
type Desk struct {
	o     Options
	store Store
}

// NewDesk checks the options.
func NewDesk(o Options, store Store) (*Desk, error) {
	if o.Name == "" || o.Keys == nil || o.Now == nil || store == nil {
		return nil, errors.New("make receipt desk: name, keys, clock and store are required")
	}
	return &Desk{o: o, store: store}, nil
}

// Claim verifies a receipt for a site and uses it up. connection narrows it to one
// connection; empty: any of the site. A refusal is problem.ReceiptRefused or
// problem.ReceiptUsed; the receipt is returned with it as far as it was verified.
func (d *Desk) Claim(ctx context.Context, siteName, connection, token string) (Receipt, error) {
	r, err := d.Verify(siteName, token)
	if err != nil {
		return r, err
	}
	if connection != "" && r.Connection != connection {
		return r, refused("it is of another connection than the site key")
	}
	first, err := d.store.ClaimReceipt(ctx, Claim{Site: r.Site, ID: r.ID, Until: r.Expires.Add(keepClaims)})
	if err != nil {
		return r, problem.Wrap(err, problem.StoreUnavailable, "it is not known whether the receipt was claimed before")
	}
	if !first {
		return r, problem.New(problem.ReceiptUsed, "this receipt was claimed before").
			WithHint("treat what it is about as already handled; look it up by the id in the receipt")
	}
	return r, nil
}

// Verify says what a receipt of this gate for that site states, without using it up.
func (d *Desk) Verify(siteName, token string) (Receipt, error) {
	t, err := jws.Parse(token, Type)
	if err != nil {
		return Receipt{}, refused(err.Error())
	}
	key, ok := d.o.Keys.PublicKey(t.KeyID)
	if !ok {
		return Receipt{}, refused("its key is not one of this gate's")
	}
	if !t.Verify(key) {
		return Receipt{}, refused("its signature does not fit its content")
	}
	r, issuer, err := read(t)
	if err != nil {
		return Receipt{}, refused(err.Error())
	}
	now := d.o.Now()
	switch {
	case issuer != d.o.Name:
		return r, refused("it is of another issuer")
	case r.Site != siteName || siteName == "":
		return r, refused("it is of another site")
	case !now.Before(r.Expires):
		return r, refused("it has expired")
	case r.IssuedAt.After(now.Add(clockSkew)), r.Expires.Sub(r.IssuedAt) > Life, !r.Expires.After(r.IssuedAt):
		return r, refused("its times are not those of a receipt")
	}
	return r, nil
}

func read(t jws.Token) (r Receipt, issuer string, err error) {
	c := jws.NewReader(t)
	issuer = c.Text("iss", 256)
	r = Receipt{Site: c.Text("aud", 128), ID: c.Text("jti", 64), Connection: c.Text("connection", 128), Mode: c.Text("mode", 128),
		Operation: c.Text("operation", 128), Fields: c.Object("fields"), Session: c.Text("session", 128),
		Origin: site.Origin(c.Text("origin", 512)), IssuedAt: c.Time("iat"), Expires: c.Time("exp")}
	return r, issuer, c.Done()
}

func refused(what string) error {
	return problem.New(problem.ReceiptRefused, "this receipt does not hold: %s", what).
		WithHint("claim each receipt once, at its own site, within %d minutes of the call", Life/time.Minute)
}
