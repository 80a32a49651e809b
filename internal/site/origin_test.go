package site_test

import (
	"strings"
	"testing"

	"sallyport/internal/site"
)

// TestAllowsExactly: the rows of the CORS table (security reference §5.6): two origins are
// equal only byte for byte.
func TestAllowsExactly(t *testing.T) {
	s := &site.Site{Origins: []site.Origin{"https://example.com", "https://shop.example:8443"}}
	for _, row := range []struct {
		name   string
		origin string
		want   bool
	}{
		{"the origin", "https://example.com", true},
		{"with its port", "https://shop.example:8443", true},
		{"null", "null", false},
		{"empty", "", false},
		{"prefix trick", "https://evil-example.com", false},
		{"suffix trick", "https://example.com.evil.com", false},
		{"another character for the dot", "https://exampleXcom", false},
		{"plain http", "http://example.com", false},
		{"another port", "https://example.com:444", false},
		{"the default port", "https://example.com:443", false},
		{"without its port", "https://shop.example", false},
		{"upper case", "https://EXAMPLE.com", false},
		{"trailing dot", "https://example.com.", false},
		{"user info", "https://user@example.com", false},
		{"encoded backtick", "https://example.com%60.evil.com", false},
		{"two origins", "https://example.com https://example.com", false},
		{"subdomain of an apex", "https://sub.example.com", false},
		{"trailing slash", "https://example.com/", false},
		{"a NUL byte", "https://example.com\x00", false},
		{"10 kB", "https://" + strings.Repeat("a", 10_000) + ".example.com", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, previews := range []bool{false, true} {
				if got := s.Allows(site.Origin(row.origin), previews); got != row.want {
					t.Errorf("previews %v: %v, want %v", previews, got, row.want)
				}
			}
		})
	}
	if (&site.Site{}).Allows("", true) {
		t.Error("a site without origins allows something")
	}
}

func TestParseOrigin(t *testing.T) {
	for _, good := range []string{"https://shop.example", "https://shop.example:8443", "http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:5173", "https://xn--mnchen-3ya.example"} {
		if o, err := site.ParseOrigin(good); err != nil || string(o) != good {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []struct{ text, says string }{
		{"shop.example", "write https://"},
		{"ftp://shop.example", "scheme"},
		{"http://shop.example", "plain http"},
		{"http://127.0.0.1.evil.example", "plain http"},
		{"http://localhost.evil.example", "plain http"},
		{"https://shop.example/", "write https://shop.example"},
		{"https://shop.example/path", "write https://shop.example"},
		{"https://shop.example?", "write https://shop.example"},
		{"https://shop.example#", "write https://shop.example"},
		{"https://user@shop.example", "write https://shop.example"},
		{"https://*.shop.example", "wildcard"},
		{"https://SHOP.example", "browsers send https://shop.example"},
		{"https://shop.example.", "dot"},
		{"https://shop.example:443", "default port"},
		{"https://shop.example:", "default port"},
		{"http://localhost:80", "default port"},
		{"https://münchen.example", "punycode"},
		{"https://shop.example\\@evil.example", ""},
		{"null", "write https://"},
		{"*", "write https://"},
		{"", "write https://"},
	} {
		_, err := site.ParseOrigin(bad.text)
		if err == nil {
			t.Errorf("%q passed", bad.text)
			continue
		}
		if !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%q: %v; want it to say %q", bad.text, err, bad.says)
		}
	}
}

func TestPreviews(t *testing.T) {
	p, err := site.ParsePreview("https://deploy-preview-*--shop.example")
	if err != nil {
		t.Fatal(err)
	}
	s := &site.Site{PreviewOrigins: []site.Preview{p}}
	for origin, want := range map[site.Origin]bool{
		"https://deploy-preview-7--shop.example":                                            true,
		"https://deploy-preview-abc-9--shop.example":                                        true,
		"https://deploy-preview---shop.example":                                             false,
		"https://deploy-preview-a.evil--shop.example":                                       false,
		"https://deploy-preview-A--shop.example":                                            false,
		"https://deploy-preview-7--shop.example.evil.example":                               false,
		"http://deploy-preview-7--shop.example":                                             false,
		"https://evil.example/deploy-preview-7--shop.example":                               false,
		site.Origin("https://deploy-preview-" + strings.Repeat("a", 64) + "--shop.example"): false,
	} {
		if got := s.Allows(origin, true); got != want {
			t.Errorf("%s: %v, want %v", origin, got, want)
		}
		if s.Allows(origin, false) {
			t.Errorf("%s passes where previews do not count", origin)
		}
	}
	for _, bad := range []string{"https://shop.example", "https://*", "https://*.example", "https://*.shop.example", "https://a-*-*.shop.example",
		"https://preview-*", "http://localhost:*", "https://shop.*", "https://preview.shop.example:*"} {
		if _, err := site.ParsePreview(bad); err == nil {
			t.Errorf("%s passed as a preview pattern", bad)
		}
	}
	if (site.Preview{}).Match("https://x.example") {
		t.Error("the zero pattern matches")
	}
}

// FuzzParseOrigin: whatever is accepted is what a browser would send, and nothing near it
// is equal.
func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{"https://shop.example", "http://localhost:3000", "https://a:1", "https://[::1]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := site.ParseOrigin(s)
		if err != nil {
			return
		}
		if string(o) != s {
			t.Fatalf("%q became %q", s, o)
		}
		if _, host, _ := strings.Cut(s, "://"); host == "" || strings.ContainsAny(host, " \t\r\n/?#@\\*") {
			t.Fatalf("%q passed", s)
		}
	})
}

// TestHolds: an address may be anywhere on the site's own origins, or on the gate's name under
// the site's domain, and nowhere else, however it is written.
func TestHolds(t *testing.T) {
	p, err := site.ParsePreview("https://deploy-preview-*--shop.example")
	if err != nil {
		t.Fatal(err)
	}
	s := &site.Site{Origins: []site.Origin{"https://shop.example", "http://localhost:3000"}, ServedAt: []string{"api.shop.example"}, PreviewOrigins: []site.Preview{p}}
	for address, want := range map[string]bool{
		"https://shop.example": true,
		"https://shop.example/thanks?session={CHECKOUT_SESSION_ID}": true,
		"https://shop.example?x=https://evil.example":               true,
		"https://shop.example#top":                                  true,
		"http://localhost:3000/thanks":                              true,
		"https://api.shop.example/hooks/sms":                        true,
		"http://api.shop.example/hooks/sms":                         false,
		"https://api.shop.example:8443/":                            false,
		"https://api.shop.example.evil.example/":                    false,
		"http://shop.example/":                                      false,
		"https://shop.example:444/":                                 false,
		"https://shop.example.evil.example/":                        false,
		"https://shop.example@evil.example/":                        false,
		"https://shop.example:x@evil.example/":                      false,
		"https://evil.example/https://shop.example":                 false,
		"https://evil.example#https://shop.example":                 false,
		"https://SHOP.example/":                                     false,
		"HTTPS://shop.example/":                                     false,
		"//shop.example/":                                           false,
		"/thanks":                                                   false,
		"":                                                          false,
		"javascript:alert(1)//https://shop.example/":                false,
		"javascript://shop.example/%0aalert(1)":                     false,
		"data:text/html,https://shop.example/":                      false,
		"https:\\\\shop.example/":                                   false,
		"https://shop.example\\@evil.example/":                      false,
		"https://evil.example\\.shop.example/":                      false,
		"https://shop.example /":                                    false,
		"https://shop.exa\tmple/":                                   false,
		"https://shop%2eexample/":                                   false,
		"https://shop。example/":                                     false,
		" https://shop.example/":                                    false,
	} {
		for _, previews := range []bool{false, true} {
			if got := s.Holds(address, previews); got != want {
				t.Errorf("%q, previews %v: %v, want %v", address, previews, got, want)
			}
		}
	}
	preview := "https://deploy-preview-7--shop.example/thanks"
	if !s.Holds(preview, true) || s.Holds(preview, false) {
		t.Error("a preview counts in mock and sandbox, and in live it does not")
	}
}
