package scheme_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"sallyport/internal/webhook/scheme"
)

const (
	paypalCertificate = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"
	paypalWebhook     = "0FV983392A0531201"
)

// paypalVector is the event of PayPal-Java-SDK's ValidateCertTest.java and clientCertTest.crt (at
// ccaa336), at its time. Its issuer is not in the vector, so the certificate itself is the root.
func paypalVector(t *testing.T) (scheme.Request, []byte, *x509.CertPool) {
	t.Helper()
	body, err1 := os.ReadFile("testdata/paypal/event.json")
	file, err2 := os.ReadFile("testdata/paypal/certificate.pem")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return scheme.Request{Method: http.MethodPost, Body: body, Now: time.Date(2019, 8, 29, 10, 50, 0, 0, time.UTC), Header: header(
		"Paypal-Cert-Url", paypalCertificate, "Paypal-Transmission-Id", "afa30d40-ca4a-11e9-ab68-7d4e2605c70c",
		"Paypal-Transmission-Time", "2019-08-29T10:49:33Z", "Paypal-Auth-Algo", "SHA256withRSA",
		"Paypal-Transmission-Sig", "K7DF5+hOyGS6v0xTZ9PkEO+BFNQmpryxw2hFlXbHgmxpu+883ldEC9HcL6ccEmB8sfy80y/Q3qcZZL1MR8Qi0e1ysylVj/yROgKK6zBsQPoNmgXC8yTiNoAjULuhk5Aoau0Itk3nrkgAfji1zvADlErMFM9VZe2nDvhM3nDMLjCi/K5fRjWp3eGo6Nx17GX/WIEibeKDyS+YdJMex3i+KO4aWmm9zznC/FJ5Y/ntd0MxOJNrM0r0f3y7c3e3sO5pB3oPgN6KzKVS5P6AWHqtS8acD3DjgCKZ1uqKz7q954G1aBz2/m0wRGOFFsv0/D3FE2uIheRRmoQtVSOAX7Aupg==")}, file, roots
}

// TestPayPal: PayPal's own vector is accepted, with one fetch for many events; nothing that
// differs is; and nothing is fetched from an address that is not PayPal's.
func TestPayPal(t *testing.T) {
	r, file, roots := paypalVector(t)
	fetched := 0
	fetch := func(_ context.Context, url string) ([]byte, error) {
		if fetched++; url != paypalCertificate {
			t.Errorf("fetched %s", url)
		}
		return file, nil
	}
	of := func(roots *x509.CertPool) *scheme.Scheme {
		s, err := scheme.New(scheme.Config{Kind: "paypal_cert", Fetch: fetch, Roots: roots, Params: map[string]string{"id": "/id", "type": "/event_type", "object": "/resource/id"}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := of(roots)
	for range 3 {
		v, err := s.Verify(t.Context(), r, value(paypalWebhook))
		if err != nil || v.ID != "WH-7MU294299R542214K-4N1831857K851783H" || v.Type != "PAYMENTS.PAYMENT.CREATED" || v.Object != "PAYID-LVT22VY7N839502VJ678725M" {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if fetched != 1 {
		t.Errorf("%d fetches", fetched)
	}
	if _, err := of(nil).Verify(t.Context(), r, value(paypalWebhook)); !errors.Is(err, scheme.ErrRefused) {
		t.Errorf("a chain that leads to no root: %v", err)
	}
	years := r
	years.Now = time.Date(2021, 6, 1, 0, 0, 0, 0, time.UTC)
	if _, err := of(roots).Verify(t.Context(), years, value(paypalWebhook)); !errors.Is(err, scheme.ErrRefused) {
		t.Errorf("years later: %v", err)
	}
	fetched = 0
	for _, address := range []string{
		"http://api.paypal.com/v1/notifications/certs/CERT-1", "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
		"https://evil.example/v1/notifications/certs/CERT-1", "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
		"https://api.paypal.com:8443/v1/notifications/certs/CERT-1", "https://api.paypal.com/v1/notifications/certs/../../x",
		"https://api.paypal.com/v1/notifications/certs/%2e%2e/x", "https://api.paypal.com/other/CERT-1", "https://api.paypal.com/v1/notifications/certs/CERT-1?x=1",
		"https://127.0.0.1/v1/notifications/certs/CERT-1", "https://API.paypal.com/v1/notifications/certs/CERT-1", "file:///etc/passwd",
	} {
		changed := r
		changed.Header = r.Header.Clone()
		changed.Header.Set("Paypal-Cert-Url", address)
		if _, err := of(roots).Verify(t.Context(), changed, value(paypalWebhook)); !errors.Is(err, scheme.ErrRefused) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if fetched != 0 {
		t.Errorf("%d addresses that are not PayPal's were asked", fetched)
	}
	// Somebody who sends addresses that nobody has seen has ten of them asked for in a minute;
	// meanwhile the certificate that is known goes on to count, past its hour too.
	s2, err := scheme.New(scheme.Config{Kind: "paypal_cert", Roots: roots, Fetch: func(_ context.Context, url string) ([]byte, error) {
		if url != paypalCertificate {
			return nil, errors.New("404")
		}
		return file, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	hours := r
	if _, err := s2.Verify(t.Context(), r, value(paypalWebhook)); err != nil {
		t.Fatal(err)
	}
	hours.Now = r.Now.Add(2 * time.Hour)
	fetched = 0
	unseen, err := scheme.New(scheme.Config{Kind: "paypal_cert", Fetch: func(context.Context, string) ([]byte, error) { fetched++; return nil, errors.New("404") }, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		changed := hours
		changed.Header = r.Header.Clone()
		changed.Header.Set("Paypal-Cert-Url", fmt.Sprintf("https://api.paypal.com/v1/notifications/certs/CERT-%d", i))
		for _, s := range []*scheme.Scheme{s2, unseen} {
			if _, err := s.Verify(t.Context(), changed, value(paypalWebhook)); err == nil {
				t.Fatal("accepted")
			}
		}
	}
	if fetched != 10 {
		t.Errorf("%d fetches in a minute", fetched)
	}
	if _, err := s2.Verify(t.Context(), hours, value(paypalWebhook)); err != nil {
		t.Errorf("the known certificate: %v", err)
	}
	bare := r
	bare.Header = r.Header.Clone()
	bare.Header.Del("Paypal-Cert-Url")
	for i := 0; i < len(r.Body); i += 37 {
		changed := r
		changed.Body = append([]byte(nil), r.Body...)
		changed.Body[i] ^= 1
		if _, err := s.Verify(t.Context(), changed, value(paypalWebhook)); !errors.Is(err, scheme.ErrRefused) {
			t.Errorf("a changed body: %v", err)
		}
	}
	if _, err := s.Verify(t.Context(), bare, value(paypalWebhook)); !errors.Is(err, scheme.ErrRefused) {
		t.Errorf("no address: %v", err)
	}
	if _, err := s.Verify(t.Context(), r, value("0FV983392A0531202")); !errors.Is(err, scheme.ErrRefused) {
		t.Errorf("another webhook id: %v", err)
	}
}
