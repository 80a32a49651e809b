package provider_test

import (
	"errors"
	"testing"

	"sallyport/internal/provider"
)

// TestBuiltin loads every pack of the binary; Find validates them.
func TestBuiltin(t *testing.T) {
	c := provider.Builtin()
	if len(c.List()) == 0 {
		t.Fatal("the built-in catalog is empty")
	}
	for _, id := range c.List() {
		t.Run(id, func(t *testing.T) {
			p, err := c.Find(id)
			if err != nil {
				t.Fatal(err)
			}
			again, err := c.Find(id)
			if err != nil || again != p {
				t.Fatalf("the second Find gave another pack or an error: %v", err)
			}
		})
	}
}

func TestFindUnknown(t *testing.T) {
	for _, c := range []struct{ id, near string }{
		{"strpe", "stripe"}, {"STRIPE", "stripe"}, {"twillio", "twilio"}, {"xyzzy-nothing", ""}, {"", ""},
	} {
		_, err := provider.Builtin().Find(c.id)
		var unknown *provider.UnknownError
		if !errors.As(err, &unknown) || unknown.Near != c.near {
			t.Errorf("Find(%q): %v; want an UnknownError near %q", c.id, err, c.near)
		}
	}
}
