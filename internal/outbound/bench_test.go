package outbound

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
)

// One call through Host.Do and through net/http's client, to the same server.
func BenchmarkCall(b *testing.B) {
	body := strings.Repeat(`{"id":"pi_1","object":"payment_intent"}`, 26)
	u := handling(b, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	})
	b.Run("outbound", func(b *testing.B) {
		h := to(b, u, nil)
		call := get("/v1/x")
		call.Credential = bearer(b, "sk_test_4eC39HqLyjWDarjtT1zdp7dc")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.Do(b.Context(), call); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: u.roots}}}
		defer client.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			res, err := client.Get(u.url + "/v1/x")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				b.Fatal(err)
			}
			res.Body.Close()
		}
	})
}
