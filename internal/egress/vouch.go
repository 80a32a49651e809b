package egress

import (
	"context"

	"sallyport/internal/site"
)

// vouch says whether the caller may draw on the whole of a budget: somebody speaks for the
// visit, or the caller is the site's own backend. The others share a small part of it.
func vouch(_ context.Context, _ *Gate, x *exchange) Decision {
	x.vouched = x.caller == site.Backend || x.session.Vouched > 0
	return allow("known who speaks for the caller")
}
