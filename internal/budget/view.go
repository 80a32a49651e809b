package budget

import (
	"math"
	"time"
)

// View is a budget as `sallyport status` shows it.
type View struct {
	Limit Limit
	Start time.Time // of the period that counts now
	End   time.Time
	// Spent holds what running nodes have reserved, too.
	Spent, Left int64
	// Unvouched of Spent was spent by callers nobody vouches for; UnvouchedLeft is what
	// they could still spend.
	Unvouched, UnvouchedLeft int64
	Calls                    int64
	Forecast                 *Forecast // nil: too little is known
}

// Forecast says what the period will have cost at its end if calls go on as until now. Error
// is twice the standard error of counting so many calls: the truth lies beyond it more often
// than one time in twenty, since calls do not come evenly over a day or a week.
type Forecast struct {
	Amount int64
	Error  int64
}

// Look reads a balance at now. A balance of an earlier period has spent nothing of this one.
func Look(l Limit, b Balance, now time.Time) View {
	v := View{Limit: l, Start: l.Account.Period.Start(now)}
	if b.Start.Before(v.Start) {
		b = Balance{}
	} else {
		v.Start = b.Start // a later one, if the clock was set back
	}
	v.End = l.Account.Period.End(v.Start)
	v.Spent, v.Unvouched, v.Calls = b.Taken, b.Unvouched, b.Calls
	v.Left, v.UnvouchedLeft = b.left(l, false), b.left(l, true)
	v.Forecast = forecast(v, now)
	return v
}

// forecast is what was spent, divided by the part of the period that is over.
func forecast(v View, now time.Time) *Forecast {
	whole, over := v.End.Sub(v.Start).Seconds(), now.Sub(v.Start).Seconds()
	part := over / whole
	if v.Spent == 0 || v.Calls <= 0 || part < 0.01 || part >= 1 {
		return nil
	}
	amount := float64(v.Spent) / part
	// Calls that come by chance: the error of the rest of the period and that of the pace.
	err := 2 * amount * math.Sqrt((1-part)/float64(v.Calls))
	return &Forecast{Amount: int64(amount), Error: int64(err)}
}
