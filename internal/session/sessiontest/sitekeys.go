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

// ApplicationStore runs the suite of keys with an application; the stores are SiteKeyStores too.
func ApplicationStore(t *testing.T, open func(t *testing.T) session.ApplicationStore) {
	s := open(t)
	keys, ok := s.(session.SiteKeyStore)
	if !ok {
		t.Fatal("the store keeps no site keys")
	}
	with, without := siteKey("with", "shop", noon()), siteKey("without", "shop", noon())
	with.Application = &session.Application{Public: []byte("a public key")}
	copy(with.Application.Hash[:], "application")
	for _, k := range []session.StoredKey{with, without} {
		if err := keys.CreateSiteKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	find := func(want session.StoredKey) {
		t.Helper()
		got, err := s.FindApplication(t.Context(), with.Application.Hash)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
	}
	find(with)
	plain := with
	plain.Application = nil // the other look-ups leave it out
	expectSiteKey(t, keys, plain)
	if _, err := s.FindApplication(t.Context(), [32]byte{1}); !errors.Is(err, session.ErrKeyNotFound) {
		t.Errorf("an unknown application: %v, want ErrKeyNotFound", err)
	}
	twin := siteKey("twin", "blog", noon())
	twin.Application = with.Application
	if err := keys.CreateSiteKey(t.Context(), twin); err == nil {
		t.Error("two keys have one application")
	}
	if _, err := keys.FindSiteKey(t.Context(), twin.AuthHash); !errors.Is(err, session.ErrKeyNotFound) {
		t.Errorf("a key whose application was refused is there: %v", err)
	}
	if err := keys.RevokeSiteKey(t.Context(), with.ID, noon()); err != nil {
		t.Fatal(err)
	}
	with.RevokedAt = noon()
	find(with)
}
