package session

import (
	"context"
	"errors"

	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
)

// Whose finds the one live key among the presented values, or by a statement, whatever site it is of: for a port
// where the key says which connection is asked for. It opens nothing, the caller holds the
// key's Site and Connection against what stands there, and Verify still has to pass. The
// Attempt's Site and Connection do not count. It refuses as Verify does, and counts as it does.
func (s *SiteKeys) Whose(ctx context.Context, a Attempt) (StoredKey, error) {
	if a.Presented.Empty() && a.Statement == "" {
		return StoredKey{}, refused(errors.New("no site key was presented"))
	}
	now := s.o.Now()
	a.Site, a.Connection = "", ""
	find := s.find
	if a.Statement != "" {
		find = s.findStated
	}
	key, err := find(ctx, a, now)
	if err != nil {
		return StoredKey{}, err
	}
	if key == nil || key.Revoked(now) {
		if _, err := s.o.Limiter.AllowAll(ctx, now, []ratelimit.Check{s.failures(a.Client)}); err != nil {
			return StoredKey{}, limiterFault(err)
		}
		return StoredKey{}, refused(errors.New("no live site key was presented"))
	}
	return *key, nil
}

// IsRefusal reports whether err says that what was presented is not good, and not that this
// could not be found out.
func IsRefusal(err error) bool {
	var p *problem.Error
	return errors.As(err, &p) && p.Code == problem.Unauthenticated
}
