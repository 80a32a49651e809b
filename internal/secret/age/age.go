// Package age remembers since when each secret has had its present value, and when it was last
// used, so that an operator sees what is old and what nobody needs.
//
// It guarantees that no value is kept: what is stored is a keyed hash whose key lies outside the
// store, so that nobody who reads the store can try values. A value that comes back after another
// one counts as new. It does not read secrets for calls and decides nothing about them.
package age

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/secret"
)

// Sighting is what is known of one secret. Times have milliseconds.
type Sighting struct {
	// Ref is the reference as the file writes it.
	Ref string
	// Print is the keyed hash of the value.
	Print [sha256.Size]byte
	// Since is when the value was first seen; Used when it was last read for a call, zero: never.
	Since, Used time.Time
}

// Store keeps sightings. Its methods are safe for concurrent use, from several processes too.
type Store interface {
	// SeeSecrets stores what was seen. Where the print is the one that is stored, Since stays;
	// Used only moves forward.
	SeeSecrets(ctx context.Context, list []Sighting) error
	// ListSightings lists all by Ref.
	ListSightings(ctx context.Context) ([]Sighting, error)
}

// Book notes uses and looks at values. It is safe for concurrent use.
type Book struct {
	store Store
	key   secret.Value
	now   func() time.Time
	used  sync.Map // secret.Ref → *atomic.Int64, milliseconds; bounded by the refs of the files that ran
}

// New makes a Book. key is the key of its hashes; it must not lie in the store.
func New(store Store, key secret.Value, now func() time.Time) *Book {
	return &Book{store: store, key: key, now: now}
}

// Watch gives sources that note what is read from them.
func (b *Book) Watch(sources secret.Sources) secret.Sources {
	out := secret.Sources{}
	for scheme, s := range sources {
		if both, ok := s.(secret.Doubler); ok {
			out[scheme] = notedBoth{noted{s, b}, both}
			continue
		}
		out[scheme] = noted{s, b}
	}
	return out
}

type noted struct {
	source secret.Source
	book   *Book
}

// Read implements secret.Source.
func (n noted) Read(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	v, err := n.source.Read(ctx, ref)
	if err == nil {
		n.book.note(ref)
	}
	return v, err
}

type notedBoth struct {
	noted
	secret.Doubler
}

func (b *Book) note(ref secret.Ref) {
	at, ok := b.used.Load(ref)
	if !ok {
		at, _ = b.used.LoadOrStore(ref, &atomic.Int64{})
	}
	at.(*atomic.Int64).Store(b.now().UnixMilli())
}

// Look reads each secret and stores what it saw. A secret that cannot be read keeps its row; the
// error tells of all of them, and the others are stored all the same.
func (b *Book) Look(ctx context.Context, source secret.Source, refs []secret.Ref) error {
	var list []Sighting
	var faults []error
	seen := map[secret.Ref]bool{}
	for _, ref := range refs {
		if seen[ref] {
			continue
		}
		seen[ref] = true
		v, err := source.Read(ctx, ref)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		one := Sighting{Ref: ref.String(), Print: b.print(ref, v), Since: b.now()}
		if at, ok := b.used.Load(ref); ok {
			one.Used = time.UnixMilli(at.(*atomic.Int64).Load()).UTC()
		}
		list = append(list, one)
	}
	if err := b.store.SeeSecrets(ctx, list); err != nil {
		faults = append(faults, fmt.Errorf("store the ages of secrets: %w", err))
	}
	return errors.Join(faults...)
}

// print is bound to the reference, so that equal values of two secrets do not show.
func (b *Book) print(ref secret.Ref, v secret.Value) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, b.key.Expose())
	name := ref.String()
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(name))))
	mac.Write([]byte(name))
	mac.Write(v.Expose())
	mac.Sum(sum[:0])
	return sum
}
