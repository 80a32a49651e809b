package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/outbound"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// limit is one documented limit of a provider, as one credential uses it: a bucket, or
// objects where the provider counts for each object or number.
type limit struct {
	provider.Limit
	bucket  *outbound.Bucket
	objects *outbound.Objects
}

// counts are the limits that an operation counts in.
type counts struct {
	each    []eachLimit
	buckets []*outbound.Bucket
}

// eachLimit counts for each value of a parameter.
type eachLimit struct {
	objects *outbound.Objects
	by      contract.Path
	number  bool
}

// counts are those of the credential's documented limits that name the operation or none,
// the narrowest first: a call that waits for its turn with one object or one operation must
// not hold a place in what others share.
func (w *wayOut) counts(c *site.Connection, p *provider.Pack, op *contract.Operation) counts {
	var out counts
	for _, l := range w.limitsOf(c, p) {
		if len(l.Ops) > 0 && !slices.Contains(l.Ops, op.ID) {
			continue
		}
		if l.objects == nil {
			out.buckets = append(out.buckets, l.bucket)
		} else if name, ok := l.Names(op); ok {
			out.each = append(out.each, eachLimit{objects: l.objects, by: contract.Path{}.Child(name), number: l.Scope == "number"})
		}
	}
	return out
}

// hold finds the buckets of one call, and keeps those of its object until release.
func (c counts) hold(args contract.Args) (buckets []*outbound.Bucket, release func()) {
	if len(c.each) == 0 {
		return c.buckets, func() {}
	}
	var releases []func()
	for _, l := range c.each {
		b, release := l.objects.Hold(l.named(args))
		buckets, releases = append(buckets, b), append(releases, release)
	}
	return append(buckets, c.buckets...), func() {
		for _, release := range releases {
			release()
		}
	}
}

// named is what the limit counts by: the object's id as the provider reads it, or a
// telephone number without its punctuation, because +49 30 1 and 49301 are one.
func (l eachLimit) named(args contract.Args) string {
	v, ok := args.Get(l.by)
	if !ok {
		return "" // one bucket for all that name nothing; the contract refuses them
	}
	id := fmt.Sprint(v)
	if !l.number {
		return id
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, id)
	if digits == "" {
		return id
	}
	return digits
}

// limitsOf finds or makes the limits of the connection's credential.
func (w *wayOut) limitsOf(c *site.Connection, p *provider.Pack) []limit {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := credentialKey(c)
	all, ok := w.limits[key]
	if !ok {
		all = w.makeLimits(p, c.Mode)
		w.limits[key] = all
	}
	return all
}

// credentialKey is the same for connections that share a credential: providers count
// by account, not by our connections.
func credentialKey(c *site.Connection) string {
	parts := []string{c.Provider, string(c.Mode)}
	for _, name := range slices.Sorted(maps.Keys(c.Credentials)) {
		parts = append(parts, name, c.Credentials[name].String())
	}
	if c.Upstream != nil {
		parts = append(parts, c.Site, c.Name)
	}
	return strings.Join(parts, "\x00")
}

// makeLimits makes what the catalog documents for a mode, the narrowest first.
func (w *wayOut) makeLimits(p *provider.Pack, mode provider.Mode) []limit {
	var out []limit
	for _, l := range p.Limits {
		if len(l.Modes) > 0 && !slices.Contains(l.Modes, mode) {
			continue
		}
		config, ok := bucketConfig(l)
		config.Crew = w.crew
		switch {
		case !ok: // refused when the pack is loaded
		case l.EachNamed():
			out = append(out, limit{Limit: l, objects: outbound.NewObjects(config, w.room)})
		case l.Scope == "operation" && len(l.Ops) == 0: // each operation has its own count
			for _, op := range p.Contract().Operations() {
				l.Ops = []string{op.ID}
				out = append(out, limit{Limit: l, bucket: outbound.NewBucket(config)})
			}
		default:
			out = append(out, limit{Limit: l, bucket: outbound.NewBucket(config)})
		}
	}
	slices.SortStableFunc(out, func(a, b limit) int { return a.breadth() - b.breadth() })
	return out
}

// breadth orders limits by how many calls they concern.
func (l limit) breadth() int {
	switch {
	case l.objects != nil:
		return 0
	case len(l.Ops) > 0:
		return len(l.Ops)
	}
	return 1 << 20
}

func bucketConfig(l provider.Limit) (outbound.BucketConfig, bool) {
	per, err := time.ParseDuration(l.Per)
	if l.Calls > 0 && (err != nil || per <= 0) || l.Calls <= 0 && l.InFlight <= 0 {
		return outbound.BucketConfig{}, false
	}
	config := outbound.BucketConfig{Calls: l.Calls, Per: per, InFlight: l.InFlight}
	if l.EachNamed() {
		config.For = "this " + l.Scope
	}
	return config, true
}
