package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"sallyport/internal/secret/age"
)

// SeeSecrets implements age.Store.
func (s *Store) SeeSecrets(ctx context.Context, list []age.Sighting) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		for _, x := range list {
			_, err := exec(tx, `INSERT INTO secret_ages (ref, print, since, used) VALUES (?1, ?2, ?3, ?4)
				ON CONFLICT (ref) DO UPDATE SET since = CASE WHEN print = ?2 THEN since ELSE ?3 END, print = ?2,
					used = CASE WHEN used IS NULL OR ?4 > used THEN ?4 ELSE used END`, x.Ref, x.Print[:], millis(x.Since), millis(x.Used))
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
	rows, err := s.read.QueryContext(ctx, `SELECT ref, print, since, used FROM secret_ages ORDER BY ref`)
	if err != nil {
		return nil, fmt.Errorf("list sightings of secrets: %w", err)
	}
	defer rows.Close()
	var out []age.Sighting
	for rows.Next() {
		var x age.Sighting
		var print []byte
		var since, used sql.NullInt64
		if err := rows.Scan(&x.Ref, &print, &since, &used); err != nil {
			return nil, fmt.Errorf("read a sighting of a secret: %w", err)
		}
		copy(x.Print[:], print)
		x.Since, x.Used = moment(since), moment(used)
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list sightings of secrets: %w", err)
	}
	return out, nil
}
