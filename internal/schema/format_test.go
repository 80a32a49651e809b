package schema

import "testing"

func TestFormatsOfStrings(t *testing.T) {
	tests := []struct {
		name    string
		yes, no []string
	}{
		{"date", []string{"2024-02-29", "2000-02-29", "0000-01-01"}, []string{"2023-02-29", "1900-02-29", "2024-04-31", "2024-13-01", "2024-1-01", "", "2024-00-10", "2024-01-00"}},
		{"date-time", []string{"2026-11-23T17:00:00Z", "2026-11-23t17:00:00.123z", "1998-12-31T15:59:60.123-08:00", "2026-01-01T00:29:60+00:30"},
			[]string{"2026-11-23 17:00:00Z", "2026-11-23T17:00:00", "2026-11-23T24:00:00Z", "1998-12-31T23:58:60Z", "2026-11-23T17:00:00+0100", "2026-11-23T17:00:00.Z"}},
		{"time-local", []string{"17:00:00", "17:00:00.5", "23:59:60"}, []string{"17:00:00Z", "17:00"}},
		{"date-time-local", []string{"2026-11-23T17:00:00"}, []string{"2026-11-23T17:00:00Z", "2026-11-23"}},
		{"duration", []string{"P4W", "P1Y2M3D", "PT1H2M3S", "P1DT12H", "P1Y"}, []string{"P", "PT", "P1", "P1Y2D", "PT1H3S", "P1DT", "1D", "P1H", "PT1D", "P1W2D", "P1D2Y", "PT1.5S"}},
		{"email", []string{"a@b.example", `"a b"@x.example`, `"a\"b"@x.example`, "a@[127.0.0.1]", "a@[IPv6:::1]", "a.b+c@localhost"},
			[]string{"", "@b", "a@", "a", ".a@b.c", "a.@b.c", "a..b@c.d", "a b@c.d", "ü@x.example", `"@b.c`, `""a"@b.c`, "a@[1.2.3]", "a@-b.c"}},
		{"idn-email", []string{"실례@실례.테스트", "a@b.c"}, []string{"실례", "a@실..례"}},
		{"hostname", []string{"a", "a-b.example", "xn--bcher-kva.example", "1.2"}, []string{"", "-a", "a-", "a..b", "a_b", ".a", "a.", "bücher", "xn--", "xn--a", "ab--c"}},
		{"idn-hostname", []string{"bücher.example", "a", "xn--bcher-kva"}, []string{"", "a b", "〮한", "a·l"}},
		{"ipv4", []string{"0.0.0.0", "255.255.255.255"}, []string{"256.0.0.0", "01.2.3.4", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", "٣.1.1.1"}},
		{"ipv6", []string{"::", "::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"}, []string{"1.2.3.4", "::1%eth0", ":::", "1:2", "::g"}},
		{"uri", []string{"https://a.example/b?c#d", "urn:a:b", "mailto:a@b.c", "http://[::1]:80/", "http://[v1.a:b]/", "a:"},
			[]string{"/a", "a", "http://a b", "http://a/%zz", "http://a/\\", "http://[::1", "http://a:b/", "http://ü/", "://a", "http://a/#b#c", "http://a/[b]"}},
		{"uri-reference", []string{"", "/a", "a/b:c", "?q", "#f", "//h/p"}, []string{"a b", `\\a`, "1:b", "#a#b"}},
		{"iri", []string{"http://ü.example/ß?é#ñ", "http://a?\ue000"}, []string{"/ü", "http://a/\ue000", "http://a b"}},
		{"iri-reference", []string{"/ü"}, []string{"ü ", `\ü`}},
		{"uri-template", []string{"", "/a{b}", "{+a,b*,c:3}", "/ü{?x.y,%41}"}, []string{"{", "}", "a{}", "{a", "{a b}", "{a:0}", "{a:12345}", "{a..b}", "a b", "%4"}},
		{"json-pointer", []string{"", "/", "/a~0~1/0"}, []string{"a", "/~", "/~2", "#/a"}},
		{"relative-json-pointer", []string{"0", "1/a", "0#", "10", "0-1/a", "2+10#"}, []string{"", "-1", "01", "0##", "1a", "0+0"}},
		{"regex", []string{`^(?=a)\1(b)`, "a", `(?<x>a)\k<x>`}, []string{"(", "a**", `\Z`, "[z-a]"}},
		{"uuid", []string{"2EB8AA08-aa98-11ea-b4aa-73B441D16380"}, []string{"2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638g", ""}},
		{"byte", []string{"", "YQ==", "YWI=", "YWJj", "YQ", "-_-_", "+/+/"}, []string{"Y", "Y===", "YQ=", "YWJj====", "+_aa", "a b=", "ü"}},
		{"base64url", []string{"-_-_", "YQ"}, []string{"+/+/"}},
		{"char", []string{"a", "ü", "😀"}, []string{"", "ab"}},
		{"decimal", []string{"1", "-1.5", "+.5", "5.", "1e3", "1.5E-7"}, []string{"", ".", "-", "1e", "1,5", "0x1", "NaN"}},
		{"int64", []string{"0", "-9223372036854775808"}, []string{"9223372036854775808", "1e3", "1.0", "", "a"}},
		{"uint64", []string{"18446744073709551615"}, []string{"-1", "18446744073709551616"}},
	}
	for _, c := range tests {
		rule, ok := formatNamed(c.name, true)
		if !ok || !rule.strings {
			t.Errorf("%s does not bind strings", c.name)
			continue
		}
		for _, s := range c.yes {
			if !rule.format.fitsString([]byte(s)) {
				t.Errorf("%q is no %s", s, c.name)
			}
		}
		for _, s := range c.no {
			if rule.format.fitsString([]byte(s)) {
				t.Errorf("%q is a %s", s, c.name)
			}
		}
	}
}

func TestFormatsOfNumbers(t *testing.T) {
	for name, c := range map[string]struct{ yes, no []string }{
		"int8":       {[]string{"-128", "127", "1.0"}, []string{"-129", "128", "0.5"}},
		"int16":      {[]string{"-32768", "32767"}, []string{"-32769", "32768"}},
		"int32":      {[]string{"-2147483648", "2147483647", "2e9"}, []string{"-2147483649", "2147483648", "3e9", "1.5"}},
		"int64":      {[]string{"-9223372036854775808", "9223372036854775807"}, []string{"-9223372036854775809", "9223372036854775808", "1e19"}},
		"uint8":      {[]string{"0", "255"}, []string{"-1", "256"}},
		"uint16":     {[]string{"0", "65535"}, []string{"-1", "65536"}},
		"uint32":     {[]string{"0", "4294967295"}, []string{"-1", "4294967296"}},
		"uint64":     {[]string{"0", "18446744073709551615"}, []string{"-1", "18446744073709551616"}},
		"double-int": {[]string{"9007199254740991"}, []string{"9007199254740992", "0.5"}},
		"float":      {[]string{"3.4e38", "1e-99", "0.1"}, []string{"3.5e38", "-1e39", "1e400"}},
		"double":     {[]string{"1e308", "1e-400"}, []string{"1e309", "-1e400"}},
	} {
		rule, ok := formatNamed(name, true)
		if _, plain := formatNamed(name, false); !ok || !rule.numbers || plain {
			t.Errorf("%s: %+v", name, rule)
			continue
		}
		for _, s := range c.yes {
			if !rule.format.fitsNumber([]byte(s)) {
				t.Errorf("%s is no %s", s, name)
			}
		}
		for _, s := range c.no {
			if rule.format.fitsNumber([]byte(s)) {
				t.Errorf("%s is a %s", s, name)
			}
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, s := range []string{"2026-11-23T17:00:60Z", "P1Y", "a@[IPv6:::1]", "xn--a", "http://[v1.]/%", "{+a:1}", "0+1#", "-1e", "P", "%", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		for _, r := range formatRules() {
			r.format.fitsString(s)
		}
	})
}
