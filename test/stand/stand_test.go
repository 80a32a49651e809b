package stand_test

import (
	"crypto/x509"
	"testing"
	"time"

	"sallyport/test/stand"
)

// TestCertificateHoldsNow: a certificate is valid from now until its end, however far that
// is, and one that has ended began before it did.
func TestCertificateHoldsNow(t *testing.T) {
	for _, row := range []struct {
		name  string
		until time.Duration
		valid bool
	}{{"a minute", time.Minute, true}, {"a day", 24 * time.Hour, true}, {"a month", 30 * 24 * time.Hour, true}, {"expired", -time.Hour, false}} {
		t.Run(row.name, func(t *testing.T) {
			cert, pem, err := stand.Certificate(time.Now().Add(row.until), "localhost")
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(pem)
			_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "localhost"})
			if (err == nil) != row.valid || !leaf.NotBefore.Before(leaf.NotAfter) {
				t.Errorf("verify: %v", err)
			}
		})
	}
}
