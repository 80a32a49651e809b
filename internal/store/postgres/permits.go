package postgres

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/receipt"
)

// SpendPermit implements egress.Permits. The row's lock decides between nodes.
func (s *Store) SpendPermit(ctx context.Context, use egress.PermitUse) (bool, error) {
	n, err := s.exec(ctx, `INSERT INTO permit_uses (key_id, permit, spent, until) SELECT $1, $2, 1, $4 WHERE $3::bigint > 0
		ON CONFLICT (key_id, permit) DO UPDATE SET spent = permit_uses.spent + 1, until = greatest(permit_uses.until, excluded.until)
		WHERE permit_uses.spent < $3::bigint`, use.KeyID, use.PermitID, use.Uses, millis(use.Until))
	if err != nil {
		return false, fmt.Errorf("spend permit: %w", err)
	}
	return n == 1, nil
}

// ReturnPermit implements egress.Permits.
func (s *Store) ReturnPermit(ctx context.Context, use egress.PermitUse) error {
	_, err := s.exec(ctx, `UPDATE permit_uses SET spent = spent - 1 WHERE key_id = $1 AND permit = $2 AND spent > 0`, use.KeyID, use.PermitID)
	if err != nil {
		return fmt.Errorf("give back permit: %w", err)
	}
	return nil
}

// PurgePermits implements egress.Permits.
func (s *Store) PurgePermits(ctx context.Context, now time.Time) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM permit_uses WHERE until <= $1`, millis(now))
	if err != nil {
		return 0, fmt.Errorf("purge permits: %w", err)
	}
	return int(n), nil
}

// ClaimReceipt implements receipt.Store.
func (s *Store) ClaimReceipt(ctx context.Context, c receipt.Claim) (bool, error) {
	n, err := s.exec(ctx, `INSERT INTO claimed_receipts (site, id, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, c.Site, c.ID, millis(c.Until))
	if err != nil {
		return false, fmt.Errorf("claim receipt: %w", err)
	}
	return n == 1, nil
}

// PurgeReceipts implements receipt.Store.
func (s *Store) PurgeReceipts(ctx context.Context, now time.Time) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM claimed_receipts WHERE until <= $1`, millis(now))
	if err != nil {
		return 0, fmt.Errorf("purge receipts: %w", err)
	}
	return int(n), nil
}
