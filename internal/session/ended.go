package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Marks are revocations that are about more than one visit. No visit has such an id.
const (
	markSite = "site/" // all visits of a site: site/NAME/RANDOM
	markKeys = "keys/" // the signing keys are other ones: keys/RANDOM
)

// EndSite ends every visit of a site that began before at: a new one begins with the next page.
// Every gate on the store acts on it as on the end of one visit.
func EndSite(ctx context.Context, store RevocationStore, site string, at time.Time) error {
	if site == "" || strings.Contains(site, "/") {
		return errors.New("end the visits of a site: it needs a name")
	}
	if err := store.CreateRevocation(ctx, Revocation{SessionID: markSite + site + "/" + randomID(), Until: at.Add(MaxTTL)}); err != nil {
		return fmt.Errorf("end the visits of %s: %w", site, err)
	}
	return nil
}

// siteEnded says whether a token of the site was issued before its visits were ended. Tokens
// tell whole seconds: one of the same second counts as issued before.
func (r *revoked) siteEnded(site string, issued time.Time) bool {
	if r.sites.Load() == nil {
		return false
	}
	ended, ok := (*r.sites.Load())[site]
	return ok && issued.Unix() <= ended.Unix()
}

// mark takes over a revocation that is about more than one visit. known is false for one visit.
func (v *Verifier) mark(ctx context.Context, r Revocation) (known bool, err error) {
	switch {
	case strings.HasPrefix(r.SessionID, markKeys):
		return true, v.o.Keys.Refresh(ctx)
	case strings.HasPrefix(r.SessionID, markSite):
		site, _, _ := strings.Cut(strings.TrimPrefix(r.SessionID, markSite), "/")
		v.revoked.endSite(site, r.Until.Add(-MaxTTL), v.o.Now())
		return true, nil
	}
	return false, nil
}

// endSite copies what is known without what no token can be older than, and adds one.
func (r *revoked) endSite(site string, at, now time.Time) {
	next := map[string]time.Time{site: at}
	if old := r.sites.Load(); old != nil {
		for name, ended := range *old {
			if ended.Add(MaxTTL).After(now) && (name != site || ended.After(at)) {
				next[name] = ended
			}
		}
	}
	r.sites.Store(&next)
}
