package hashivault

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"sallyport/internal/secret"
)

// SecondFor is how long the version before is accepted beside the newest one of a KV v2 secret,
// from the moment on in which Vault stored the newest.
const SecondFor = 24 * time.Hour

// version is what Vault says of the version of a KV v2 secret; the zero version: it says nothing.
type version struct {
	number int
	stored time.Time
}

// versionOf reads the metadata of a KV v2 answer.
func versionOf(data map[string]any) version {
	meta, _ := data["metadata"].(map[string]any)
	number, _ := meta["version"].(json.Number)
	stored, _ := meta["created_time"].(string)
	n, err := strconv.Atoi(number.String())
	at, err2 := time.Parse(time.RFC3339Nano, stored)
	if err != nil || err2 != nil {
		return version{}
	}
	return version{n, at}
}

// older is what is known of the version before a secret's newest.
type older struct {
	number int
	read   time.Time
	fields map[string]secret.Value // nil: it is deleted or destroyed
}

// Second implements secret.Doubler: the field in the version before, for SecondFor after the
// newest one was stored. A reference with ?version=, KV v1 and other engines have one value. The
// version before is used no longer than the TTL without Vault, and its absence is no trouble.
func (s *Source) Second(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	n, err := ParseName(ref.Name)
	if err != nil || n.Version > 0 {
		return secret.Value{}, err
	}
	if _, err := s.fields(ctx, n); err != nil {
		return secret.Value{}, err
	}
	s.mu.Lock()
	newest, now := version{}, s.o.Now()
	if e, ok := s.entries[n.key()]; ok {
		newest = e.version
	}
	s.mu.Unlock()
	if newest.number < 2 || now.Sub(newest.stored) >= SecondFor {
		return secret.Value{}, nil
	}
	fields, err := s.before(ctx, n, newest.number-1)
	return fields[n.Field], err
}

// before reads a version of a secret, or gives what it remembers of it. One request is made at a
// time: this is asked for only while a provider refuses the newest value.
func (s *Source) before(ctx context.Context, n Name, number int) (map[string]secret.Value, error) {
	s.oneOlder.Lock()
	defer s.oneOlder.Unlock()
	key, now := n.key(), s.o.Now()
	if o, ok := s.olders[key]; ok && o.number == number && now.Sub(o.read) < s.o.TTL {
		return o.fields, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n.Version = number
	got, err := s.obtain(lease{}, n)
	if err != nil && !errors.Is(err, secret.ErrNotFound) {
		return nil, err
	}
	if len(s.olders) >= maxEntries {
		clear(s.olders)
	}
	s.olders[key] = older{number, now, got.fields}
	return got.fields, nil
}
