package ratelimit

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseRule(t *testing.T) {
	for text, want := range map[string]Rule{
		"10 per minute per session":        {10, time.Minute, PerSession},
		"1 per second per prefix":          {1, time.Second, PerPrefix},
		"300 per 5 minutes per site":       {300, 5 * time.Minute, PerSite},
		"1000000 per 31 days per site":     {1_000_000, 31 * 24 * time.Hour, PerSite},
		"  7  per  2 hours per operation ": {7, 2 * time.Hour, PerOperation},
		"50 per day per connection":        {50, 24 * time.Hour, PerConnection},
		"5 per 90 seconds per session":     {5, 90 * time.Second, PerSession},
	} {
		if got, err := ParseRule(text); err != nil || got != want {
			t.Errorf("ParseRule(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseRuleSaysWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"": "a number, a span", "10": "a number, a span", "10/minute": "10 per minute per session", "10 per minute": "what to count by",
		"ten per minute per session": `begins with "ten"`, "0 per minute per session": "from 1", "-1 per minute per session": "from 1",
		"1.5 per minute per session": "whole number", "010 per minute per session": `begins with "010"`, "+5 per minute per session": `begins with "+5"`,
		"1000001 per second per site": "1000000", "99999999999999999999 per second per site": "whole number",
		"10 per fortnight per session": "second, minute, hour, day", "10 per 0 minutes per session": "whole number of units",
		"10 per -1 minutes per session": "whole number of units", "10 per 32 days per session": "longer than 31 days",
		"10 per 99999999999 days per session": "whole number of units", "10 per minute per user": "session, prefix, site, operation or connection",
		"10 per minute per Session": "session, prefix", "10 per minute per session per site": "a number, a span",
	} {
		_, err := ParseRule(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRule(%q): %v; want an error with %q", text, err, want)
		}
	}
}

func TestRuleIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{
			Calls:  rapid.IntRange(1, maxCalls).Draw(t, "calls"),
			Window: time.Duration(rapid.IntRange(1, int(maxWindow/time.Second)).Draw(t, "seconds")) * time.Second,
			Per:    rapid.SampledFrom([]Per{PerSession, PerPrefix, PerSite, PerOperation, PerConnection}).Draw(t, "per"),
		}
		if got, err := ParseRule(r.String()); err != nil || got != r {
			t.Fatalf("%+v is written %q and read %+v, %v", r, r, got, err)
		}
	})
}

func TestKeys(t *testing.T) {
	l := New(64)
	base := Subject{Site: "shop", Connection: "payments", Operation: "pay", Session: "a", Client: netip.MustParseAddr("203.0.113.7")}
	with := func(change func(*Subject)) *Subject { s := base; change(&s); return &s }
	site := with(func(s *Subject) { s.Site = "blog" })
	connection := with(func(s *Subject) { s.Connection = "maps" })
	operation := with(func(s *Subject) { s.Operation = "refund" })
	session := with(func(s *Subject) { s.Session = "b" })
	client := with(func(s *Subject) { s.Client = netip.MustParseAddr("203.0.114.7") })
	neighbour := with(func(s *Subject) { s.Client = netip.MustParseAddr("203.0.113.99") })
	cases := []struct {
		level    Level
		per      Per
		apart    []*Subject
		together []*Subject
	}{
		{AtSite, PerSite, []*Subject{site}, []*Subject{connection, operation, session, client}},
		{AtSite, PerConnection, []*Subject{site, connection}, []*Subject{operation, session, client}},
		{AtSite, PerOperation, []*Subject{site, connection, operation}, []*Subject{session, client}},
		{AtSite, PerSession, []*Subject{site, session}, []*Subject{connection, operation, client}},
		{AtSite, PerPrefix, []*Subject{site, client}, []*Subject{connection, operation, session, neighbour}},
		{AtConnection, PerSession, []*Subject{site, connection, session}, []*Subject{operation, client}},
		{AtOperation, PerSession, []*Subject{site, connection, operation, session}, []*Subject{client}},
		{AtOperation, PerSite, []*Subject{site, connection, operation}, []*Subject{session, client}},
		{AtOperation, PerPrefix, []*Subject{site, connection, operation, client}, []*Subject{session, neighbour}},
	}
	for _, c := range cases {
		r := Rule{Calls: 1, Window: time.Minute, Per: c.per}
		own := l.Key(c.level, r, &base)
		for i, s := range c.apart {
			if l.Key(c.level, r, s) == own {
				t.Errorf("%s per %s: other %d shares the count", c.level, c.per, i)
			}
		}
		for i, s := range c.together {
			if l.Key(c.level, r, s) != own {
				t.Errorf("%s per %s: same %d has a count of its own", c.level, c.per, i)
			}
		}
		wider := r
		wider.Window = time.Hour
		if l.Key(c.level, wider, &base) == own {
			t.Errorf("%s per %s: two rules share a count", c.level, c.per)
		}
	}
	shifted := l.Key(AtOperation, Rule{Per: PerSite}, &Subject{Site: "shopp", Connection: "ayments", Operation: "pay"})
	if shifted == l.Key(AtOperation, Rule{Per: PerSite}, &base) {
		t.Error("names that run together share a count")
	}
}

func TestPrefix(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.7": "203.0.113.0/24", "::ffff:203.0.113.7": "203.0.113.0/24",
		"2001:db8:1:2345::1": "2001:db8:1:2300::/56", "fe80::1%eth0": "fe80::/56",
	} {
		if got := Prefix(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("Prefix(%s) = %s, want %s", addr, got, want)
		}
	}
	if Prefix(netip.Addr{}).IsValid() {
		t.Error("no address has a prefix")
	}
}

func TestHeader(t *testing.T) {
	l := New(64)
	checks := []Check{
		l.Check(AtSite, Rule{100, time.Hour, PerPrefix}, visit("a")),
		l.Check(AtOperation, Rule{2, 90 * time.Second, PerSession}, visit("a")),
	}
	header := func() http.Header {
		h := http.Header{}
		SetHeader(h, checks, all(l, noon, checks))
		return h
	}
	const policy = `"site-prefix-3600";q=100;w=3600, "operation-session-90";q=2;w=90`
	for i, want := range []struct{ limit, retry string }{
		{`"operation-session-90";r=1;t=45`, ""}, {`"operation-session-90";r=0;t=90`, ""}, {`"operation-session-90";r=0;t=45`, "45"},
	} {
		h := header()
		if h.Get(HeaderPolicy) != policy || h.Get(HeaderLimit) != want.limit || h.Get(HeaderRetryAfter) != want.retry {
			t.Errorf("call %d: %v; want %+v", i, h, want)
		}
	}
	empty := http.Header{}
	SetHeader(empty, nil, Decision{Allowed: true})
	if len(empty) != 0 {
		t.Errorf("no rules, but %v", empty)
	}
}
