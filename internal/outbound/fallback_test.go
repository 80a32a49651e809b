package outbound

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/secret"
)

// pair is a field with two values that tests change.
type pair struct{ first, second atomic.Value }

func (p *pair) field() Field {
	read := func(from *atomic.Value) func(context.Context) (secret.Value, error) {
		return func(context.Context) (secret.Value, error) {
			text, _ := from.Load().(string)
			return secret.NewValue([]byte(text)), nil
		}
	}
	return Field{Read: read(&p.first), Second: read(&p.second)}
}

func (p *pair) set(first, second string) { p.first.Store(first); p.second.Store(second) }

// TestSecondValue walks a rotation: what is refused is not sent again while the other is good,
// whichever of them it is, and one who is refused with both is told so.
func TestSecondValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pair
		c, err := NewTemplate(Placement{Kind: KindHeader, Name: "A", Value: "{v}"}, map[string]Field{"v": p.field()})
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		c.OnSecond(func(context.Context) { told++ })
		sends := func(want string) Mark {
			t.Helper()
			r := form("")
			mark, err := c.Apply(t.Context(), r)
			if got := r.Header.Get("A"); err != nil || got != want {
				t.Fatalf("sent %q, %v; want %q", got, err, want)
			}
			return mark
		}
		refused := func(mark Mark, again bool) {
			t.Helper()
			if got, err := c.Refresh(t.Context(), mark); err != nil || got != again {
				t.Fatalf("another value to try: %t, %v; want %t", got, err, again)
			}
		}
		p.set("old-secret-value", "")
		old := sends("old-secret-value")
		refused(old, false)
		sends("old-secret-value")

		p.set("old-secret-value", "new-secret-value") // staged: the provider has ended the old one already
		fresh := sends("new-secret-value")
		p.set("new-secret-value", "old-secret-value") // promoted
		if sends("new-secret-value") != fresh {
			t.Error("the mark of a value depends on its place")
		}
		if told != 1 {
			t.Errorf("told %d times, want once", told)
		}
		time.Sleep(refusedFor)
		sends("new-secret-value")
		refused(fresh, true) // the provider does not know the new one yet
		sends("old-secret-value")
		sends("old-secret-value")
		if told != 2 {
			t.Errorf("told %d times, want twice", told)
		}
		refused(old, false) // nor the old one any more
		sends("new-secret-value")
		for _, v := range []string{"old-secret-value", "new-secret-value"} {
			if !c.Echo([]byte("..." + v + "...")) {
				t.Errorf("%s is not found in an answer", v)
			}
		}
	})
}
