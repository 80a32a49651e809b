package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/budget"
)

const (
	budgetColumns = `site, connection, operation, mode, period, unit, start, taken, unvouched, calls, told`
	budgetSelect  = `SELECT ` + budgetColumns + ` FROM budgets`
	budgetWhere   = ` WHERE site = ? AND connection = ? AND operation = ? AND mode = ? AND period = ? AND unit = ?`
)

func accountArgs(a budget.Account) []any {
	return []any{a.Site, a.Connection, a.Operation, a.Mode, string(a.Period), string(a.Unit)}
}

// TakeBudgets implements budget.Store.
func (s *Store) TakeBudgets(ctx context.Context, takes []budget.Take) ([]budget.Taken, error) {
	out := make([]budget.Taken, len(takes))
	err := s.writer.do(ctx, func(tx *tx) error {
		for i, t := range takes {
			b, _, err := findBudget(tx, t.Limit.Account)
			if err != nil {
				return err
			}
			out[i] = b.Take(t)
			if err := keepBudget(tx, b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("take from budgets: %w", err)
	}
	return out, nil
}

// ReturnBudgets implements budget.Store.
func (s *Store) ReturnBudgets(ctx context.Context, returns []budget.Return) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		for _, r := range returns {
			b, found, err := findBudget(tx, r.Account)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			b.Return(r)
			if err := keepBudget(tx, b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("return to budgets: %w", err)
	}
	return nil
}

// ListBudgets implements budget.Store.
func (s *Store) ListBudgets(ctx context.Context) ([]budget.Balance, error) {
	rows, err := s.read.QueryContext(ctx, budgetSelect+` ORDER BY site, connection, operation, mode, period, unit`)
	if err != nil {
		return nil, fmt.Errorf("list budgets: %w", err)
	}
	defer rows.Close()
	var out []budget.Balance
	for rows.Next() {
		b, err := scanBudget(rows)
		if err != nil {
			return nil, fmt.Errorf("read budget: %w", err)
		}
		out = append(out, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list budgets: %w", err)
	}
	return out, nil
}

// PurgeBudgets implements budget.Store.
func (s *Store) PurgeBudgets(ctx context.Context, before time.Time) (int, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `DELETE FROM budgets WHERE start < ?`, millis(before))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge budgets: %w", err)
	}
	return int(n), nil
}

func findBudget(tx *tx, a budget.Account) (budget.Balance, bool, error) {
	b, err := scanBudget(tx.QueryRow(budgetSelect+budgetWhere, accountArgs(a)...))
	if errors.Is(err, sql.ErrNoRows) {
		return budget.Balance{Account: a}, false, nil
	}
	return b, err == nil, err
}

func scanBudget(row interface{ Scan(...any) error }) (budget.Balance, error) {
	var b budget.Balance
	var start sql.NullInt64
	a := &b.Account
	err := row.Scan(&a.Site, &a.Connection, &a.Operation, &a.Mode, &a.Period, &a.Unit, &start, &b.Taken, &b.Unvouched, &b.Calls, &b.Told)
	b.Start = moment(start)
	return b, err
}

func keepBudget(tx *tx, b budget.Balance) error {
	_, err := exec(tx, `INSERT INTO budgets (`+budgetColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET start = excluded.start, taken = excluded.taken, unvouched = excluded.unvouched,
			calls = excluded.calls, told = excluded.told`,
		append(accountArgs(b.Account), millis(b.Start), b.Taken, b.Unvouched, b.Calls, int64(b.Told))...)
	return err
}
