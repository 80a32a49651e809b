package keystore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/secret"
)

// Overlap is how long the value before is accepted after a rotation, unless somebody says otherwise.
const Overlap = 24 * time.Hour

// MaxOverlap bounds it: a value that was replaced and still counts a month later was not replaced.
const MaxOverlap = 30 * 24 * time.Hour

// ErrRotating is wrapped where a rotation begins while the one before is not over.
var ErrRotating = errors.New("a rotation of this secret is not over")

// ErrNotStaged is wrapped where there is no new value to go on with.
var ErrNotStaged = errors.New("no new value is staged")

func (r record) entry(name string, now time.Time) Entry {
	e := Entry{Name: name, Created: r.created, Rotated: r.rotated, Next: !r.next.Empty(), NextSince: r.since}
	if e.Previous = !r.old(now).Empty(); e.Previous {
		e.PreviousUntil = r.until
	}
	return e
}

// Second finds the other value that is accepted at present: the staged one, or the one before
// while it still counts. An empty Value without an error means that there is none.
func (s *Store) Second(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	r, err := s.find(ctx, ref.Name)
	if err != nil || !r.next.Empty() {
		return r.next, err
	}
	return r.old(s.now()), nil
}

// Stage stores a new value beside the present one, which goes on being sent. It wraps
// secret.ErrNotFound where there is nothing to rotate, and ErrRotating where the value before
// the present one still counts. A value that was staged before is replaced.
func (s *Store) Stage(ctx context.Context, name string, v secret.Value) error {
	if err := checkNew(name, v); err != nil {
		return err
	}
	return s.edit(ctx, name, func(r *record) error {
		if r.value.Equal(v) {
			return fmt.Errorf("keystore: the new value of %s is the present one", name)
		}
		if !r.old(s.now()).Empty() {
			return fmt.Errorf("keystore: the old value of %s counts until %s: %w", name, r.until.Format(time.RFC3339), ErrRotating)
		}
		r.next, r.since, r.previous, r.until = v, s.moment(), secret.Value{}, time.Time{}
		return nil
	})
}

// Promote makes the staged value the one that is sent, and keeps the one before for overlap
// (none: it is gone at once). It wraps ErrNotStaged where nothing is staged.
func (s *Store) Promote(ctx context.Context, name string, overlap time.Duration) error {
	if overlap < 0 || overlap > MaxOverlap {
		return fmt.Errorf("keystore: an overlap of %s; it is 0s to %s", overlap, MaxOverlap)
	}
	return s.edit(ctx, name, func(r *record) error {
		if r.next.Empty() {
			return fmt.Errorf("keystore: %s: %w", name, ErrNotStaged)
		}
		r.turn(r.next, s.moment(), overlap)
		return nil
	})
}

// Replace puts a new value in the place of all that there are: neither the present one nor one
// of a rotation counts any more.
func (s *Store) Replace(ctx context.Context, name string, v secret.Value) error {
	if err := checkNew(name, v); err != nil {
		return err
	}
	return s.edit(ctx, name, func(r *record) error {
		if r.value.Equal(v) {
			return fmt.Errorf("keystore: the new value of %s is the present one", name)
		}
		r.turn(v, s.moment(), 0)
		return nil
	})
}

// turn makes v the value that is sent.
func (r *record) turn(v secret.Value, now time.Time, overlap time.Duration) {
	old := r.value
	r.value, r.rotated = v, now
	r.next, r.since, r.previous, r.until = secret.Value{}, time.Time{}, secret.Value{}, time.Time{}
	if overlap > 0 {
		r.previous, r.until = old, now.Add(overlap)
	}
}

// Finish forgets the other value, whichever it is: a staged one that was not wanted, or the one
// before, whose time is then over at once.
func (s *Store) Finish(ctx context.Context, name string) error {
	return s.edit(ctx, name, func(r *record) error {
		r.next, r.since, r.previous, r.until = secret.Value{}, time.Time{}, secret.Value{}, time.Time{}
		return nil
	})
}

// Expire removes the values whose overlap is over from the file, and names their secrets. They
// have not counted since then, whether they were removed or not.
func (s *Store) Expire(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	err := s.refresh()
	var over []string
	for name, r := range s.secrets {
		if !r.previous.Empty() && r.old(s.now()).Empty() {
			over = append(over, name)
		}
	}
	s.mu.Unlock()
	if err != nil || len(over) == 0 {
		return nil, err
	}
	slices.Sort(over)
	return over, s.change(ctx, func(all map[string]record) error {
		for _, name := range over {
			if r, ok := all[name]; ok && r.old(s.now()).Empty() {
				r.previous, r.until = secret.Value{}, time.Time{}
				all[name] = r
			}
		}
		return nil
	})
}

// edit changes one record that is there.
func (s *Store) edit(ctx context.Context, name string, change func(*record) error) error {
	if strings.HasPrefix(name, reserved) {
		return errReserved()
	}
	return s.change(ctx, func(all map[string]record) error {
		r, ok := all[name]
		if !ok {
			return fmt.Errorf("keystore: no secret %s, set it first: %w", name, secret.ErrNotFound)
		}
		if err := change(&r); err != nil {
			return err
		}
		all[name] = r
		return nil
	})
}

func (s *Store) moment() time.Time { return s.now().UTC().Round(0) }
