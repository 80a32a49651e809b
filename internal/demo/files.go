package demo

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sallyport/web"
)

const (
	siteName   = "harbour"
	configName = "sallyport.yaml"
)

// connection is one of the shop's connections: what the file says of it, and the
// credentials that exist only in this process and its folder.
type connection struct {
	name     string // as in the file
	provider string
	secrets  []credential
	public   map[string]string // not secret, written into the file
}

// credential is a made-up key in the provider's form.
type credential struct {
	file, prefix, value string
}

func connections() []connection {
	return []connection{
		{name: "payments", provider: "stripe", secrets: []credential{made("stripe.key", "sk_test_", base62, 48)}},
		{name: "maps", provider: "google-maps", secrets: []credential{made("google-maps.key", "AIza", base62, 35)}},
		{name: "sms", provider: "twilio", secrets: []credential{made("twilio.key", "", hex, 32)},
			public: map[string]string{"TWILIO_ACCOUNT": "AC" + random(hex, 32)}},
		{name: "poll", provider: "zigpoll", secrets: []credential{made("zigpoll.key", "", hex, 40)}},
	}
}

const (
	hex    = "0123456789abcdef"
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func made(file, prefix, alphabet string, n int) credential {
	return credential{file: file, prefix: prefix, value: prefix + random(alphabet, n)}
}

// random is n characters of the alphabet; no bias matters for a key that opens nothing.
func random(alphabet string, n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// writeFiles writes what the gate reads: its file, the authority and the keys.
func (t *tour) writeFiles(a *authority) error {
	raw, err := web.Demo.ReadFile("demo/sallyport.yaml")
	if err != nil {
		return err
	}
	words := []string{"SHOP_ORIGIN", "http://" + t.shop.addr()}
	files := map[string]string{"ca.pem": string(a.pem)}
	for _, m := range t.mocks {
		words = append(words, strings.ToUpper(m.conn.name)+"_UPSTREAM", "https://"+m.addr())
		for name, value := range m.conn.public {
			words = append(words, name, value)
		}
		for _, s := range m.conn.secrets {
			files[s.file] = s.value
		}
	}
	files[configName] = strings.NewReplacer(words...).Replace(string(raw))
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(t.dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write the tour's files: %w", err)
		}
	}
	return nil
}
