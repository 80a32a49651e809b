package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"sallyport/internal/audit"
	"sallyport/internal/audit/audittest"
	"sallyport/internal/budget"
	"sallyport/internal/egress"
	"sallyport/internal/egress/egresstest"
	"sallyport/internal/grant"
	"sallyport/internal/grant/granttest"
	"sallyport/internal/login"
	"sallyport/internal/login/logintest"
	"sallyport/internal/oauth"
	"sallyport/internal/oauth/oauthtest"
	"sallyport/internal/openid"
	"sallyport/internal/openid/openidtest"
	"sallyport/internal/probe"
	"sallyport/internal/probe/probetest"
	"sallyport/internal/receipt"
	"sallyport/internal/receipt/receipttest"
	"sallyport/internal/secret/age"
	"sallyport/internal/secret/age/agetest"
	"sallyport/internal/secret/seal"
	"sallyport/internal/secret/seal/sealtest"
	"sallyport/internal/session"
	"sallyport/internal/session/sessiontest"
	"sallyport/internal/store/sqlite"
	"sallyport/internal/webhook"
	"sallyport/internal/webhook/webhooktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func path(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data", "sallyport.db")
}

func open(t *testing.T, file string, role sqlite.Role) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func fresh(t *testing.T) *sqlite.Store { return open(t, path(t), sqlite.Serve) }

func TestConformance(t *testing.T) {
	t.Run("session.KeyStore", func(t *testing.T) {
		sessiontest.KeyStore(t, func(t *testing.T) session.KeyStore { return fresh(t) })
	})
	t.Run("session.SiteKeyStore", func(t *testing.T) {
		sessiontest.SiteKeyStore(t, func(t *testing.T) session.SiteKeyStore { return fresh(t) })
	})
	t.Run("session.ApplicationStore", func(t *testing.T) {
		sessiontest.ApplicationStore(t, func(t *testing.T) session.ApplicationStore { return fresh(t) })
	})
	t.Run("session.RevocationStore", func(t *testing.T) {
		sessiontest.RevocationStore(t, func(t *testing.T) session.RevocationStore { return fresh(t) })
	})
	t.Run("openid.KeyStore", func(t *testing.T) {
		openidtest.KeyStore(t, func(t *testing.T) openid.KeyStore { return fresh(t) })
	})
	t.Run("login.Store", func(t *testing.T) {
		logintest.Store(t, func(t *testing.T) login.Store { return fresh(t) })
	})
	t.Run("grant.Store", func(t *testing.T) {
		granttest.Store(t, func(t *testing.T) grant.Store { return fresh(t) })
	})
	t.Run("webhook.Store", func(t *testing.T) {
		webhooktest.Store(t, func(t *testing.T) webhook.Store { return fresh(t) })
	})
	t.Run("egress.Idempotency", func(t *testing.T) {
		egresstest.Idempotency(t, func(t *testing.T) egress.Idempotency { return fresh(t) })
	})
	t.Run("egress.OwnedStore", func(t *testing.T) {
		egresstest.OwnedStore(t, func(t *testing.T) egress.OwnedStore { return fresh(t) })
	})
	t.Run("age.Store", func(t *testing.T) {
		agetest.Store(t, func(t *testing.T) age.Store { return fresh(t) })
	})
	t.Run("probe.Store", func(t *testing.T) {
		probetest.Store(t, func(t *testing.T) probe.Store { return fresh(t) })
	})
	t.Run("oauth.TokenStore", func(t *testing.T) {
		oauthtest.TokenStore(t, func(t *testing.T) oauth.TokenStore { return fresh(t) })
	})
	t.Run("egress.Permits", func(t *testing.T) {
		egresstest.Permits(t, func(t *testing.T) egress.Permits { return fresh(t) })
	})
	t.Run("receipt.Store", func(t *testing.T) {
		receipttest.Store(t, func(t *testing.T) receipt.Store { return fresh(t) })
	})
	t.Run("egress.FreezeStore", func(t *testing.T) {
		egresstest.FreezeStore(t, func(t *testing.T) egress.FreezeStore { return fresh(t) })
	})
	t.Run("audit.AdminEvents", func(t *testing.T) {
		audittest.AdminEvents(t, func(t *testing.T) audit.AdminEvents { return fresh(t) })
	})
	t.Run("budget.Store", func(t *testing.T) {
		egresstest.Budgets(t, func(t *testing.T) budget.Store { return fresh(t) })
	})
	t.Run("seal.RotatingStore", func(t *testing.T) {
		sealtest.RotatingStore(t, func(t *testing.T) seal.RotatingStore { return fresh(t) })
	})
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	file := path(t)
	s := open(t, file, sqlite.Serve)
	if err := s.DeleteSigningKey(t.Context(), "none"); err != nil { // makes the WAL
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v; want 0700", info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) < 3 {
		t.Fatalf("files: %v, %v", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want 0600", e.Name(), info.Mode(), err)
		}
	}
}
