package grant

import (
	"context"
	"sync"

	"sallyport/internal/outbound"
	"sallyport/internal/secret"
)

// TokenField is the field that holds the token in a Placement.
const TokenField = "access_token"

// Credential puts a subject's token on the requests of one call, at a place whose texts name
// TokenField. It reads nothing yet.
func (d *Desk) Credential(a At, subject string, p outbound.Placement) (outbound.Credential, error) {
	c := &credential{desk: d, at: a, subject: subject}
	var err error
	c.template, err = outbound.NewTemplate(p, map[string]outbound.Field{TokenField: {Read: c.read}})
	return c, err
}

// credential is the Credential of one subject and one call.
type credential struct {
	desk     *Desk
	at       At
	subject  string
	template *outbound.Template

	mu   sync.Mutex
	last Stored
	sent tokens
}

func (c *credential) read(ctx context.Context) (secret.Value, error) {
	s, t, err := c.desk.find(ctx, c.at, c.subject)
	if err != nil {
		return secret.Value{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.sent = s, t
	return t.Access, nil
}

// Apply implements outbound.Credential. It waits where the token is being renewed.
func (c *credential) Apply(ctx context.Context, r *outbound.Request) (outbound.Mark, error) {
	return c.template.Apply(ctx, r)
}

// Refresh implements outbound.Credential. However many calls were refused with one token, one
// new one is asked for; none where this one is quite new. A grant that ends so is told by the
// next call.
func (c *credential) Refresh(ctx context.Context, _ outbound.Mark) (bool, error) {
	c.mu.Lock()
	last, sent := c.last, c.sent
	c.mu.Unlock()
	now, ok, err := c.desk.o.Store.FindGrant(ctx, last.Key)
	switch {
	case err != nil:
		return false, storeFault(err)
	case !ok || now.Ended:
		return false, nil
	case now.Version != last.Version: // another call has renewed
		return true, nil
	case sent.Refresh.Empty() || c.desk.o.Now().Sub(sent.Issued).Abs() < forceEvery:
		return false, nil
	}
	if err := wait(ctx, c.desk.renew(c.at, last)); err != nil {
		return false, nil //nolint:nilerr // the provider's 401 is the answer; the log has why there is no other token
	}
	now, ok, err = c.desk.o.Store.FindGrant(ctx, last.Key)
	if err != nil {
		return false, storeFault(err)
	}
	return ok && !now.Ended && now.Version != last.Version, nil
}

// Echo implements outbound.Credential.
func (c *credential) Echo(b []byte) bool { return c.template.Echo(b) }
