package receipt_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"sallyport/internal/receipt"
)

type noKeys struct{}

func (noKeys) Sign(string, []byte) (string, error)        { return "", nil }
func (noKeys) PublicKey(string) (ed25519.PublicKey, bool) { return nil, false }

// TestOptions: nothing is issued or taken by halves.
func TestOptions(t *testing.T) {
	for _, o := range []receipt.Options{{}, {Name: "n", Keys: noKeys{}}, {Name: "n", Now: time.Now}, {Keys: noKeys{}, Now: time.Now}} {
		if _, err := receipt.NewIssuer(o); err == nil {
			t.Errorf("an issuer of %+v", o)
		}
		if _, err := receipt.NewDesk(o, nil); err == nil {
			t.Errorf("a desk of %+v", o)
		}
	}
	i, err := receipt.NewIssuer(receipt.Options{Name: "n", Keys: noKeys{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []receipt.Receipt{{}, {Site: "s", Connection: "c"}, {Site: "s", Operation: "o"}, {Connection: "c", Operation: "o"}} {
		if token, err := i.Issue(r); err == nil {
			t.Errorf("%+v was signed: %q", r, token)
		}
	}
}
