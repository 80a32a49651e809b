package budget_test

import (
	"testing"
	"time"

	"sallyport/internal/budget"
	"sallyport/internal/money"
)

func TestLook(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rule := budget.Rule{Period: budget.Day, Max: money.Amount{Millionths: 100 * money.One, Unit: "USD"}, Soft: 80}
	l := rule.Limit(budget.Account{Site: "shop", Mode: "live"})
	if l.Soft != 80*money.One || l.Share() != 20*money.One {
		t.Errorf("soft %d, share %d", l.Soft, l.Share())
	}
	b := budget.Balance{Account: l.Account, Start: budget.Day.Start(now), Taken: 30 * money.One, Unvouched: 5 * money.One, Calls: 100}
	v := budget.Look(l, b, now)
	if v.Left != 70*money.One || v.UnvouchedLeft != 15*money.One || !v.End.Equal(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", v)
	}
	// Half of the day is over: twice as much, give or take 2·60·√(0.5/100).
	if f := v.Forecast; f == nil || f.Amount != 60*money.One || f.Error < 8_485_000 || f.Error > 8_486_000 {
		t.Errorf("forecast %+v", f)
	}
	if v := budget.Look(l, b, now.Add(24*time.Hour)); v.Spent != 0 || v.Left != l.Max || v.Forecast != nil {
		t.Errorf("the next day: %+v", v)
	}
	if v := budget.Look(l, b, now.Add(-24*time.Hour)); v.Spent != b.Taken {
		t.Errorf("after the clock was set back: %+v; want what was spent", v)
	}
}

func TestPeriods(t *testing.T) {
	at := time.Date(2026, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)) // already January in UTC
	if s := budget.Month.Start(at); !s.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) || !budget.Month.End(s).Equal(time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("month from %s to %s", s, budget.Month.End(s))
	}
}
