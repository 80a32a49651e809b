package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// rotateLead is how long a key that was asked for is published before it signs: whoever caches
// the published set has it by then, and so has every node.
const rotateLead = JWKSMaxAge + time.Minute

// Rotate makes the next signing key before its time, and returns when it signs. Tokens of the
// key before are good until they expire. Where the next key is made already it is that one.
func (k *Keys) Rotate(ctx context.Context) (time.Time, error) {
	k.turn.Lock()
	defer k.turn.Unlock()
	for range 3 { // another process may make one at the same moment
		stored, err := k.list(ctx)
		if err != nil {
			return time.Time{}, err
		}
		last, now := stored[len(stored)-1], k.o.Now()
		if last.SignsFrom.After(now) {
			return last.SignsFrom, nil
		}
		if err := k.create(ctx, StoredSigningKey{CreatedAt: now, SignsFrom: now.Add(rotateLead), Predecessor: last.ID}); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, errors.New("rotate signing keys: the new key is not in the store")
}

// Replace makes a key that signs at once and deletes all others: every visit, voucher for one and
// receipt that they signed ends. Every gate on the store acts on it as on the end of a visit, and
// strangers who cached the published set when that is older than JWKSMaxAge.
func (k *Keys) Replace(ctx context.Context, marks RevocationStore) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	stored, err := k.list(ctx)
	if err != nil {
		return err
	}
	now := k.o.Now()
	fresh := StoredSigningKey{CreatedAt: now, SignsFrom: now, Predecessor: stored[len(stored)-1].ID}
	if err := k.create(ctx, fresh); err != nil {
		return err
	}
	after, err := k.list(ctx)
	if err != nil {
		return err
	}
	left := 0
	for _, key := range after {
		if key.Predecessor == fresh.Predecessor && !key.SignsFrom.After(now) {
			left++
			continue
		}
		if err := k.o.Store.DeleteSigningKey(ctx, key.ID); err != nil {
			return fmt.Errorf("delete signing key: %w", err)
		}
	}
	if err := marks.CreateRevocation(ctx, Revocation{SessionID: markKeys + randomID(), Until: now.Add(MaxTTL)}); err != nil {
		return fmt.Errorf("tell of new signing keys: %w", err)
	}
	if left != 1 {
		return errors.New("replace signing keys: a gate made a key at the same moment; run this again")
	}
	return nil
}

func (k *Keys) list(ctx context.Context) ([]StoredSigningKey, error) {
	stored, err := k.o.Store.ListSigningKeys(ctx)
	if err == nil && len(stored) == 0 {
		err = errors.New("there is none")
	}
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	return stored, nil
}
