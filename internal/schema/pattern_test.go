package schema

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPatternsMeanWhatECMAScriptSays(t *testing.T) {
	tests := []struct {
		pattern string
		yes, no []string
	}{
		{``, []string{"", "x"}, nil},
		{`b`, []string{"abc"}, []string{"ac"}},
		{`^a$`, []string{"a"}, []string{"a\n", "\na", "ab", "b\na\nb"}},
		{`a.c`, []string{"abc", "a😀c", "a\u0085c"}, []string{"a\nc", "a\rc", "a\u2028c", "a\u2029c"}},
		{`^[^]$`, []string{"a", "\n", "😀"}, []string{"", "ab"}},
		{`[]`, nil, []string{"", "a"}},
		{`^\d$`, []string{"0", "9"}, []string{"٣", "a"}},
		{`^\D$`, []string{"٣", "a"}, []string{"0"}},
		{`^\w$`, []string{"a", "_", "Z", "0"}, []string{"é", "-"}},
		{`^\W$`, []string{"é", "-"}, []string{"a"}},
		{`^\s$`, []string{" ", "\t", "\v", "\f", "\n", "\r", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f", "\u205f", "\u3000", "\ufeff"}, []string{"\u0085", "\u200b", "x"}},
		{`^\S$`, []string{"\u0085", "\u200b", "x", "\x00"}, []string{" ", "\u00a0", "\ufeff", "\u2005", "\u2028"}},
		{`^[\S]$`, []string{"x"}, []string{"\u00a0"}},
		{`^[^\s]$`, []string{"x"}, []string{"\u00a0"}},
		{`^[\s\S]$`, []string{"x", "\n"}, []string{""}},
		{`^\cA\cz$`, []string{"\x01\x1a"}, []string{"cAcz"}},
		{`^\x41\u0042\u{43}\u{1F600}$`, []string{"ABC😀"}, []string{"ABC"}},
		{`^\uD83D\uDC32*$`, []string{"", "🐲🐲"}, []string{"🐲x"}},
		{`^🐲*$`, []string{"", "🐲🐲"}, []string{"🐲x"}},
		{`^a\/b$`, []string{"a/b"}, []string{`a\/b`}},
		{`^\t\n\v\f\r\0$`, []string{"\t\n\v\f\r\x00"}, []string{"tnvfr0"}},
		{`^[\b]$`, []string{"\b"}, []string{"b"}},
		{`\bfoo\b`, []string{"a foo b", "foo"}, []string{"afoo"}},
		{`^[\w-.]+$`, []string{"a-b.c"}, []string{"a b"}},
		{`^[a-\d]+$`, []string{"a-1"}, []string{"b"}},
		{`^[A-Z-a-z0-9]$`, []string{"-", "Q"}, []string{"_"}},
		{`^[a\]b[]+$`, []string{"a]b["}, []string{"c"}},
		{`^[[:alpha:]]$`, []string{":]", "a]"}, []string{"b", "a"}},
		{`^\p{Letter}cole$`, []string{"École", "ecole"}, []string{"9cole"}},
		{`^\p{L}\P{L}\p{Script=Greek}\p{sc=Greek}\p{gc=Lu}$`, []string{"a1αβX"}, []string{"a1abX"}},
		{`^\p{Alphabetic}\p{Uppercase}\p{White_Space}$`, []string{"\u0345A\u0085"}, []string{"1A "}},
		{`^[^\p{L}]$`, []string{"1"}, []string{"a"}},
		{`^(?<year>\d{4})-(?:\d\d)$`, []string{"2026-11"}, []string{"26-11"}},
		{`(?i)^(all|none)$`, []string{"ALL", "none"}, []string{"some"}},
		{`^(?i:a)b$`, []string{"Ab", "ab"}, []string{"aB"}},
		{`^[0-9]{1,3}?$`, []string{"1", "123"}, []string{"1234", ""}},
		{`^a{,3}$`, []string{"a{,3}"}, []string{"aaa"}},
		{`^x{$`, []string{"x{"}, []string{"x"}},
		{`^a{0}$`, []string{""}, []string{"a"}},
		{`^.{1,2500}$`, []string{"x", strings.Repeat("x", 2500)}, []string{"", strings.Repeat("x", 2501)}},
		{`^.{1500,}$`, []string{strings.Repeat("x", 1500), strings.Repeat("x", 4000)}, []string{strings.Repeat("x", 1499)}},
		{`^(ab){1001,1002}$`, []string{strings.Repeat("ab", 1001), strings.Repeat("ab", 1002)}, []string{strings.Repeat("ab", 1000), strings.Repeat("ab", 1003)}},
		{`^.{0,100000}$`, []string{"", strings.Repeat("x", 4096)}, []string{"\n"}},
		{`^a|b$`, []string{"ax", "xb"}, []string{"xa"}},
		{`^(a|)$`, []string{"a", ""}, []string{"b"}},
		{`a-b!@#%&,:;<=>~'"`, []string{"a-b!@#%&,:;<=>~'\""}, nil},
		{`^\-\_\"\#\ \@$`, []string{`-_"# @`}, nil},
		{`^[\-\_\.\,\"]$`, []string{"-", "_", ",", `"`}, []string{`\`}},
		{`ü$`, []string{"fü"}, []string{"u"}},
	}
	for _, c := range tests {
		p, err := compilePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, s := range c.yes {
			if !p.match([]byte(s)) {
				t.Errorf("%s does not match %q", c.pattern, s)
			}
		}
		for _, s := range c.no {
			if p.match([]byte(s)) {
				t.Errorf("%s matches %q", c.pattern, s)
			}
		}
	}
}

func TestPatternsThatCannotBeExpressedAreRefusedByName(t *testing.T) {
	for pattern, want := range map[string]string{
		`^(?!\d+$)\w+`:                          "character 2: a negative lookahead (?!…): RE2, which matches in linear time, has none",
		`a(?=b)`:                                "character 2: a lookahead",
		`(?<=a)b`:                               "character 1: a lookbehind",
		`(?<!a)b`:                               "character 1: a negative lookbehind",
		`(a)\1`:                                 `character 4: a backreference (\1)`,
		`(?<n>a)\k<n>`:                          `character 8: a backreference (\k)`,
		`ü(`:                                    `character 2: a ( that is not closed`,
		`a)`:                                    `character 2: a ) that closes nothing`,
		`[a`:                                    `character 1: a [ that is not closed`,
		`*a`:                                    "character 1: nothing to repeat",
		`a**`:                                   "character 3: nothing to repeat",
		`a++`:                                   "character 3: nothing to repeat; possessive",
		`^*`:                                    "character 2: nothing to repeat",
		`a{3,1}`:                                "character 2: a repetition whose end is below its start",
		`{1}`:                                   "character 1: nothing to repeat",
		`\b+`:                                   `character 3: \b and \B cannot be repeated`,
		`^\S(|(.|\n)*\S)\Z`:                     `character 16: \Z, which ECMA-262 does not have; write $`,
		`\Aa`:                                   `character 1: \A, which ECMA-262 does not have; write ^`,
		`\a`:                                    `\a, which ECMA-262 does not have; write \x07`,
		`[z-a]`:                                 `character 2: a range from 'z' down to 'a'`,
		`[0-9A-Za-z_-.]`:                        `character 11: a range from '_' down to '.'; write the hyphen last, or \-`,
		`\u12`:                                  "character 1: an escape that wants 4 hexadecimal digits",
		`\u{110000}`:                            `a \u{…} that is no code point`,
		`\uD800`:                                "half of a surrogate pair",
		`\c1`:                                   `\c without a letter`,
		`\01`:                                   "an octal escape",
		`[\1]`:                                  "an octal escape",
		`\p{Nonsense}`:                          "the Unicode property Nonsense",
		`\p{scx=Latin}`:                         "the Unicode property scx=Latin",
		`\P{Alphabetic}`:                        `the complement of Alphabetic; write [^\p{Alphabetic}]`,
		`\pL`:                                   `\p without {Property}`,
		`a\`:                                    "a backslash at the end",
		`(?s:a)`:                                "the modifiers m and s",
		`(?P<a>b)`:                              "a group that ECMA-262 does not have; write (?:…)",
		`(a{1000}){1000}`:                       "RE2, which matches patterns, does not take it: invalid repeat count",
		strings.Repeat("a", maxPatternSource+1): "longer than 16384 bytes",
		strings.Repeat("(", 300):                "groups more than 200 deep",
		"\xff":                                  "not UTF-8",
	} {
		_, err := compilePattern(pattern)
		var refused *PatternError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v; want …%s…", pattern, err, want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{`^[a-z]{1,3}\s$`, `(a|b)*c+?`, `[\w-.]`, `\u{41}\p{L}`, `(?<n>x){2,1001}`, `[^]`, `(?i)x`, `\cA[\b]`} {
		f.Add(s, "a")
	}
	f.Fuzz(func(t *testing.T, source, text string) {
		if len(source) > 200 || len(text) > 1000 {
			return
		}
		p, err := compilePattern(source)
		if err != nil {
			if !errors.As(err, new(*PatternError)) || err.Error() == "" {
				t.Errorf("%q: %v", source, err)
			}
			return
		}
		if utf8.ValidString(text) && p.match([]byte(text)) != p.re.MatchString(text) {
			t.Errorf("%q and %q: %v, and package regexp says otherwise", source, text, p.match([]byte(text)))
		}
	})
}

// TestRunnersAgreeWithRegexp compares the short way with package regexp over random patterns of
// classes with counts, and texts that come close.
func TestRunnersAgreeWithRegexp(t *testing.T) {
	classes := []string{"a", "b", "ab", "[ab]", "[b-d]", "[^a]", ".", `\d`, `\w`, "[0-9a-f]", "ü", "[à-ü]", `\s`, "[^]", `\S`, "1"}
	counts := []string{"", "", "", "+", "*", "?", "{2}", "{1,3}", "{2,}", "{0,2}?"}
	letters := []rune("aabbcd01ü é\n")
	r := rand.New(rand.NewPCG(5, 5))
	run, matched := 0, 0
	for range torture(4000, 400_000) {
		var source strings.Builder
		source.WriteString("^")
		for range 1 + r.IntN(4) {
			source.WriteString(classes[r.IntN(len(classes))] + counts[r.IntN(len(counts))])
		}
		if r.IntN(4) > 0 {
			source.WriteString("$")
		}
		text := source.String()
		if r.IntN(8) == 0 {
			text = "(?i)" + text
		}
		p, err := compilePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		if p.run != nil {
			run++
		}
		for range 20 {
			value := make([]rune, r.IntN(7))
			for i := range value {
				value[i] = letters[r.IntN(len(letters))]
			}
			want := p.re.MatchString(string(value))
			if got := p.match([]byte(string(value))); got != want {
				t.Fatalf("%s and %q: %v, package regexp: %v", text, string(value), got, want)
			}
			if want && p.run != nil {
				matched++
			}
		}
	}
	if run < 500 || matched < 500 {
		t.Errorf("only %d runners and %d matches", run, matched)
	}
	for source, fast := range map[string]bool{`^AC[0-9a-fA-F]{32}$`: true, `^.{1,300}$`: true, `^[A-Z]{2}-[0-9]+$`: true, `^wss?:`: true, `^[0-9]{4}-(0[1-9]|1[0-2])$`: false, `abc$`: false, `^a*ab$`: false} {
		if p, err := compilePattern(source); err != nil || (p.run != nil) != fast {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func BenchmarkPattern(b *testing.B) {
	p, err := compilePattern(`^AC[0-9a-fA-F]{32}$`)
	if err != nil {
		b.Fatal(err)
	}
	text := []byte("AC0123456789abcdef0123456789abcdef")
	b.Run("runner", func(b *testing.B) {
		for b.Loop() {
			p.match(text)
		}
	})
	b.Run("regexp", func(b *testing.B) {
		for b.Loop() {
			p.re.Match(text)
		}
	})
}
