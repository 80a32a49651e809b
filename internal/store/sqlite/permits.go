package sqlite

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/receipt"
)

// SpendPermit implements egress.Permits.
func (s *Store) SpendPermit(ctx context.Context, use egress.PermitUse) (bool, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `INSERT INTO permit_uses (key_id, permit, spent, until) SELECT ?1, ?2, 1, ?4 WHERE ?3 > 0
			ON CONFLICT DO UPDATE SET spent = spent + 1, until = max(until, excluded.until) WHERE spent < ?3`,
			use.KeyID, use.PermitID, use.Uses, millis(use.Until))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("spend permit: %w", err)
	}
	return n == 1, nil
}

// ReturnPermit implements egress.Permits.
func (s *Store) ReturnPermit(ctx context.Context, use egress.PermitUse) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := exec(tx, `UPDATE permit_uses SET spent = spent - 1 WHERE key_id = ? AND permit = ? AND spent > 0`, use.KeyID, use.PermitID)
		return err
	})
	if err != nil {
		return fmt.Errorf("give back permit: %w", err)
	}
	return nil
}

// PurgePermits implements egress.Permits.
func (s *Store) PurgePermits(ctx context.Context, now time.Time) (int, error) {
	return s.purge(ctx, "permits", `DELETE FROM permit_uses WHERE until <= ?`, now)
}

// ClaimReceipt implements receipt.Store.
func (s *Store) ClaimReceipt(ctx context.Context, c receipt.Claim) (bool, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `INSERT INTO claimed_receipts (site, id, until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, c.Site, c.ID, millis(c.Until))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("claim receipt: %w", err)
	}
	return n == 1, nil
}

// PurgeReceipts implements receipt.Store.
func (s *Store) PurgeReceipts(ctx context.Context, now time.Time) (int, error) {
	return s.purge(ctx, "receipts", `DELETE FROM claimed_receipts WHERE until <= ?`, now)
}

func (s *Store) purge(ctx context.Context, what, statement string, now time.Time) (int, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, statement, millis(now))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge %s: %w", what, err)
	}
	return int(n), nil
}
