package sessiontest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/session"
)

func siteKey(id, site string, made time.Time) session.StoredKey {
	k := session.StoredKey{ID: id, Site: site, Shape: "sallyport", PermitKey: pad("p" + id), CreatedAt: made}
	copy(k.AuthHash[:], "auth "+id)
	return k
}

// SiteKeyStore runs the suite over stores that open makes, empty, one for each test.
func SiteKeyStore(t *testing.T, open func(t *testing.T) session.SiteKeyStore) {
	pair := siteKey("pair", "shop", noon().Add(time.Minute))
	pair.Connection, pair.Shape = "sms", "pair"
	copy(pair.UserHash[:], "user")
	all, other := siteKey("all", "shop", noon()), siteKey("other", "blog", noon())
	fill := func(t *testing.T) session.SiteKeyStore {
		s := open(t)
		for _, k := range []session.StoredKey{pair, all, other} {
			if err := s.CreateSiteKey(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	t.Run("find and list", func(t *testing.T) {
		s := fill(t)
		for _, want := range []session.StoredKey{pair, all, other} {
			expectSiteKey(t, s, want)
		}
		if _, err := s.FindSiteKey(t.Context(), [32]byte{1}); !errors.Is(err, session.ErrKeyNotFound) {
			t.Errorf("an unknown hash: %v, want ErrKeyNotFound", err)
		}
		for _, want := range []session.StoredKey{pair, all, other} {
			got, err := s.FindPermitKey(t.Context(), want.PermitKey)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("site key of permit key %s (-want +got):\n%s", want.ID, d)
			}
		}
		if _, err := s.FindPermitKey(t.Context(), pad("pnone")); !errors.Is(err, session.ErrKeyNotFound) {
			t.Errorf("an unknown permit key: %v, want ErrKeyNotFound", err)
		}
		for site, want := range map[string][]session.StoredKey{"shop": {all, pair}, "": {all, other, pair}, "none": nil} {
			got, err := s.ListSiteKeys(t.Context(), site)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("keys of %q (-want +got):\n%s", site, d)
			}
		}
	})
	t.Run("one hash, one key", func(t *testing.T) {
		s, twin := fill(t), siteKey("twin", "blog", noon())
		twin.AuthHash = all.AuthHash
		if err := s.CreateSiteKey(t.Context(), twin); err == nil {
			t.Error("two keys have one hash")
		}
		expectSiteKey(t, s, all)
		twin = siteKey("twin", "blog", noon())
		twin.PermitKey = all.PermitKey
		if err := s.CreateSiteKey(t.Context(), twin); err == nil {
			t.Error("two keys have one permit key")
		}
	})
	t.Run("revoke", func(t *testing.T) { revoke(t, fill(t), all) })
	t.Run("touch", func(t *testing.T) { touch(t, fill(t), all) })
}

func revoke(t *testing.T, s session.SiteKeyStore, k session.StoredKey) {
	for i := range 2 {
		if err := s.RevokeSiteKey(t.Context(), k.ID, noon().Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	k.RevokedAt = noon()
	expectSiteKey(t, s, k)
	if err := s.RevokeSiteKey(t.Context(), k.ID, noon().Add(-time.Hour)); err != nil { // it was rotated, and has now leaked
		t.Fatal(err)
	}
	k.RevokedAt = noon().Add(-time.Hour)
	expectSiteKey(t, s, k)
	if err := s.RevokeSiteKey(t.Context(), "none", noon()); !errors.Is(err, session.ErrKeyNotFound) {
		t.Errorf("an unknown id: %v, want ErrKeyNotFound", err)
	}
}

func touch(t *testing.T, s session.SiteKeyStore, k session.StoredKey) {
	for _, at := range []time.Time{noon().Add(time.Hour), noon().Add(time.Minute)} {
		if err := s.TouchSiteKeys(t.Context(), map[string]time.Time{k.ID: at, "none": at}); err != nil {
			t.Fatal(err)
		}
	}
	k.LastUsedAt = noon().Add(time.Hour) // never back
	expectSiteKey(t, s, k)
}

func expectSiteKey(t *testing.T, s session.SiteKeyStore, want session.StoredKey) {
	t.Helper()
	got, err := s.FindSiteKey(t.Context(), want.AuthHash)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("site key %s (-want +got):\n%s", want.ID, d)
	}
	if got, err = s.FindPermitKey(t.Context(), want.PermitKey); err != nil || !cmp.Equal(want, got) {
		t.Errorf("site key %s by permit key: %v (-want +got):\n%s", want.ID, err, cmp.Diff(want, got))
	}
}
