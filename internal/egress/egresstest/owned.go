package egresstest

import (
	"sync"
	"testing"
	"time"

	"sallyport/internal/egress"
)

// OwnedStore runs the suite over stores that open makes, empty, one for each test.
func OwnedStore(t *testing.T, open func(t *testing.T) egress.OwnedStore) {
	t.Run("found by its site alone, until it expires", func(t *testing.T) {
		s := open(t)
		o := ownedWorld{t, s}
		end := noon().Add(time.Minute)
		o.remember("shop", 1, end, 256, 10, 11)
		o.found("shop", 10, noon(), end)
		o.found("shop", 11, end.Add(-time.Millisecond), end)
		o.found("shop", 10, end, time.Time{})
		o.found("blog", 10, noon(), time.Time{})
		o.found("shop", 12, noon(), time.Time{})
	})
	t.Run("again keeps the later end", func(t *testing.T) {
		o := ownedWorld{t, open(t)}
		end := noon().Add(time.Hour)
		o.remember("shop", 1, end, 256, 10)
		o.remember("shop", 1, noon().Add(time.Minute), 256, 10)
		o.found("shop", 10, noon(), end)
		o.remember("shop", 1, end.Add(time.Hour), 256, 10)
		o.found("shop", 10, noon(), end.Add(time.Hour))
	})
	t.Run("the oldest of a visit fall out, those of others stay", func(t *testing.T) {
		o := ownedWorld{t, open(t)}
		end := noon().Add(time.Hour)
		o.remember("shop", 2, end, 3, 100)
		o.remember("blog", 1, end, 3, 101)
		for i := range byte(5) {
			o.remember("shop", 1, end, 3, 10+i)
		}
		for i := range byte(5) {
			want := end
			if i < 2 {
				want = time.Time{}
			}
			o.found("shop", 10+i, noon(), want)
		}
		o.found("shop", 100, noon(), end)
		o.found("blog", 101, noon(), end)
		o.remember("shop", 1, end, 3, 20, 21, 22, 23, 24) // more at once than stay
		o.found("shop", 20, noon(), time.Time{})
		o.found("shop", 24, noon(), end)
		o.found("shop", 14, noon(), time.Time{})
	})
	t.Run("purge", func(t *testing.T) {
		o := ownedWorld{t, open(t)}
		end := noon().Add(time.Hour)
		o.remember("shop", 1, noon().Add(time.Minute), 256, 1)
		for i := range byte(4) {
			o.remember("shop", 2+i, end, 256, 10+i)
		}
		o.remember("blog", 1, end, 256, 50)
		o.purged(noon().Add(time.Minute), 100, 1)
		o.purged(noon().Add(time.Minute), 3, 1) // the oldest of the site that has too many
		o.found("shop", 10, noon(), time.Time{})
		o.found("shop", 11, noon(), end)
		o.found("blog", 50, noon(), end)
		o.purged(end, 3, 4)
		o.purged(end, 3, 0)
	})
	t.Run("from many at once", func(t *testing.T) {
		o := ownedWorld{t, open(t)}
		end := noon().Add(time.Hour)
		var wg sync.WaitGroup
		for visit := range byte(8) {
			wg.Go(func() {
				for i := range byte(10) {
					o.remember("shop", visit, end, 256, 10+i, 200+visit)
				}
			})
		}
		wg.Wait()
		for i := range byte(10) {
			o.found("shop", 10+i, noon(), end)
		}
		for visit := range byte(8) {
			o.found("shop", 200+visit, noon(), end)
		}
	})
}

type ownedWorld struct {
	t *testing.T
	s egress.OwnedStore
}

func (o ownedWorld) remember(site string, visit byte, expires time.Time, perVisit int, objects ...byte) {
	o.t.Helper()
	row := egress.OwnedRow{Site: site, Visit: egress.OwnedHash{visit}, Expires: expires}
	for _, b := range objects {
		row.Objects = append(row.Objects, egress.OwnedHash{b})
	}
	if err := o.s.RememberOwned(o.t.Context(), row, perVisit); err != nil {
		o.t.Error(err)
	}
}

func (o ownedWorld) found(site string, object byte, now, want time.Time) {
	o.t.Helper()
	got, err := o.s.FindOwned(o.t.Context(), site, egress.OwnedHash{object}, now)
	if err != nil || !got.Equal(want) {
		o.t.Errorf("%s/%d: %v, %v; want %v", site, object, got, err, want)
	}
}

func (o ownedWorld) purged(now time.Time, perSite, want int) {
	o.t.Helper()
	if n, err := o.s.PurgeOwned(o.t.Context(), now, perSite); err != nil || n != want {
		o.t.Errorf("purged %d, %v; want %d", n, err, want)
	}
}
