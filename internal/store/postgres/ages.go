package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/secret/age"
)

// SeeSecrets implements age.Store. Rows are written in one order, so that two nodes do not wait
// for each other.
func (s *Store) SeeSecrets(ctx context.Context, list []age.Sighting) error {
	list = slices.SortedFunc(slices.Values(list), func(a, b age.Sighting) int { return strings.Compare(a.Ref, b.Ref) })
	err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		for _, x := range list {
			_, err := tx.Exec(ctx, `INSERT INTO secret_ages AS a (ref, print, since, used) VALUES ($1, $2, $3, $4)
				ON CONFLICT (ref) DO UPDATE SET since = CASE WHEN a.print = excluded.print THEN a.since ELSE excluded.since END,
					print = excluded.print, used = greatest(a.used, excluded.used)`, x.Ref, x.Print[:], millis(x.Since), millis(x.Used))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store sightings of secrets: %w", err)
	}
	return nil
}

// ListSightings implements age.Store.
func (s *Store) ListSightings(ctx context.Context) ([]age.Sighting, error) {
	out, err := list(ctx, s, scanSighting, `SELECT ref, print, since, used FROM secret_ages ORDER BY ref COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("list sightings of secrets: %w", err)
	}
	return out, nil
}

func scanSighting(row pgx.CollectableRow) (x age.Sighting, err error) {
	var print []byte
	var since, used *int64
	err = row.Scan(&x.Ref, &print, &since, &used)
	copy(x.Print[:], print)
	x.Since, x.Used = moment(since), moment(used)
	return x, err
}
