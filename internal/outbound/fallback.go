package outbound

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/secret"
)

// refusedFor is how long a value that the provider refused is not tried again while there is
// another one. Then one call tries it again, at the cost of one more attempt.
const refusedFor = time.Minute

// keptRefusals bounds what is remembered: a rotation has two values.
const keptRefusals = 4

// fallback remembers which values of a credential the provider refused. While a secret is
// rotated two are good, and nobody but the provider knows at which moment one of them ends: a
// call that is refused is repeated once with the other one, and the calls after it begin with
// the one that worked.
type fallback struct {
	any     atomic.Bool // lets the usual case, nothing refused, skip the lock
	refused sync.Mutex
	at      map[Mark]time.Time
	told    map[Mark]time.Time
	tell    func(ctx context.Context)
}

// OnSecond sets what is told when calls go on with the second value because the provider
// refused the first: once a minute at most, from the call that noticed. It is set before the
// first call.
func (t *Template) OnSecond(f func(ctx context.Context)) { t.tell = f }

// choose reads the values to send: the first, or the second where the provider has just refused
// the first. Where both were refused it is the first, so that a refusal that was the provider's
// error ends by itself.
func (t *Template) choose(ctx context.Context) (map[string][]byte, Mark, error) {
	values, mark, err := t.read(ctx)
	if err != nil || !t.isRefused(mark) {
		return values, mark, err
	}
	second, other, ok := t.second(ctx, values)
	if !ok || other == mark || t.isRefused(other) {
		return values, mark, nil
	}
	t.tellSecond(ctx, mark)
	return second, other, nil
}

// second reads the values with the second one of each field that has two. A second value that
// cannot be read is none: the first is still good for what it is.
func (t *Template) second(ctx context.Context, first map[string][]byte) (map[string][]byte, Mark, bool) {
	values, found := maps.Clone(first), false
	for _, name := range t.names {
		if t.fields[name].Second == nil {
			continue
		}
		v, err := t.fields[name].Second(ctx)
		if err != nil || v.Empty() {
			continue
		}
		values[name], found = v.Expose(), true
	}
	return values, t.mark(values), found
}

// Refresh notes that the provider refused the value with that mark, reads the fields again, and
// reports whether there is another value that it has not refused.
func (t *Template) Refresh(ctx context.Context, used Mark) (bool, error) {
	t.refuse(used)
	values, mark, err := t.read(secret.Anew(ctx))
	if err != nil {
		return false, err
	}
	if !t.isRefused(mark) {
		return true, nil
	}
	_, other, ok := t.second(ctx, values)
	return ok && !t.isRefused(other), nil
}

func (f *fallback) refuse(mark Mark) {
	f.refused.Lock()
	defer f.refused.Unlock()
	if f.at == nil || len(f.at) >= keptRefusals {
		f.at = map[Mark]time.Time{}
	}
	f.at[mark] = time.Now()
	f.any.Store(true)
}

func (f *fallback) isRefused(mark Mark) bool {
	if !f.any.Load() {
		return false
	}
	f.refused.Lock()
	defer f.refused.Unlock()
	at, ok := f.at[mark]
	if ok && time.Since(at) >= refusedFor {
		delete(f.at, mark)
		f.any.Store(len(f.at) > 0)
		return false
	}
	return ok
}

// tellSecond tells once in refusedFor for each first value.
func (f *fallback) tellSecond(ctx context.Context, mark Mark) {
	if f.tell == nil {
		return
	}
	f.refused.Lock()
	now := time.Now()
	again := now.Sub(f.told[mark]) >= refusedFor
	if again {
		if f.told == nil || len(f.told) >= keptRefusals {
			f.told = map[Mark]time.Time{}
		}
		f.told[mark] = now
	}
	f.refused.Unlock()
	if again {
		f.tell(ctx)
	}
}
