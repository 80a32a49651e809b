package schema

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbersCompareByValue(t *testing.T) {
	// Each group holds one value in many spellings, and the groups rise.
	groups := [][]string{
		{"-1e999999999999999999999"},
		{"-1e400"},
		{"-12345678901234567890.5", "-123456789012345678905e-1"},
		{"-12345678901234567890"},
		{"-10", "-1e1", "-10.0", "-0.1e2"},
		{"-9"},
		{"-1e-400"},
		{"0", "-0", "0.0", "0e9", "-0.000E-7", "0e999999999999999999999"},
		{"1e-999999999999999999999"},
		{"0.1", "1e-1", "0.10", "10E-2"},
		{"0.3"},
		{"1", "1.0", "1e0", "1E+0", "10e-1", "0.01e2"},
		{"2.5", "25e-1"},
		{"99", "9.9e1"},
		{"100", "1e2", "1.00E2"},
		{"100.01"},
		{"9007199254740993"}, // not a float64
		{"999999999999999999"},
		{"1000000000000000000", "1e18"},
		{"9223372036854775807"},
		{"9223372036854775808"},
		{"1e19"},
		{"98249283749234923498293171823948729348710298301928331"},
		{"98249283749234923498293171823948729348710298301928332"},
		{"1e400"},
	}
	for i, g := range groups {
		for j, h := range groups {
			for _, a := range g {
				for _, b := range h {
					if got, want := compareNumbers([]byte(a), []byte(b)), compareInts(int64(i), int64(j)); got != want {
						t.Errorf("compare %s with %s: %d, want %d", a, b, got, want)
					}
					x, y := readNumber([]byte(a)).appendCanonical(nil), readNumber([]byte(b)).appendCanonical(nil)
					if (string(x) == string(y)) != (i == j) {
						t.Errorf("%s is written %s, %s is written %s", a, x, b, y)
					}
				}
			}
		}
	}
}

func TestWholeNumbers(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "-0": true, "0.0": true, "1": true, "1.0": true, "1e3": true, "1.5e1": true, "10e-1": true, "-7.000": true,
		"1e400": true, "123456789012345678901234567890": true,
		"0.5": false, "1.5": false, "1e-1": false, "15e-1": false, "1e-400": false, "1e-99999999999999999999": false,
		"123456789012345678901234567890.5": false,
	} {
		if got := readNumber([]byte(text)).whole(); got != want {
			t.Errorf("%s whole: %v, want %v", text, got, want)
		}
	}
}

func TestSmallInts(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "7": 7, "-7": -7, "999999999999999999": 999999999999999999, "-999999999999999999": -999999999999999999} {
		if got, ok := smallInt([]byte(text)); !ok || got != want {
			t.Errorf("%s: %d %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "-0", "1.0", "1e3", "1000000000000000000", "01"} {
		if got, ok := smallInt([]byte(text)); ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestMultiples(t *testing.T) {
	tests := []struct {
		n, of string
		want  bool
	}{
		{"0", "7", true}, {"21", "7", true}, {"22", "7", false}, {"-21", "7", true}, {"21", "-7", true},
		{"4.5", "1.5", true}, {"0.0075", "0.0001", true}, {"0.00751", "0.0001", false}, {"0.3", "0.1", true}, {"19.99", "0.01", true},
		{"1e308", "0.123456789", false}, {"1e308", "0.5", true}, {"12391239123", "1e-8", true},
		{"1e999999999999", "7", false}, {"7e999999999999", "7", true}, {"1e999999999999", "1024", true},
		{"1e-400", "1e-401", true}, {"1e-401", "1e-400", false},
		{"36893488147419103232", "18446744073709551616", true}, {"36893488147419103233", "18446744073709551616", false},
		{"98249283749234923498293171823948729348710298301928331", "1", true},
		{"98249283749234923498293171823948729348710298301928331.5", "0.5", true},
		{"10", "0", false}, {"0", "0", true},
	}
	for _, c := range tests {
		if got := readNumber([]byte(c.n)).multipleOf(readNumber([]byte(c.of))); got != c.want {
			t.Errorf("%s is a multiple of %s: %v, want %v", c.n, c.of, got, c.want)
		}
	}
}

// TestNumbersAgreeWithRationals compares with math/big, which shares nothing with our arithmetic.
func TestNumbersAgreeWithRationals(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		s := rapid.StringMatching(`-?(0|[1-9][0-9]{0,2}|[1-9][0-9]{15,22})(\.[0-9]{1,3}|\.0{1,2}[0-9]{18,20})?([eE][+-]?[0-3]?[0-9])?`).Draw(t, "number")
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got, want := compareNumbers([]byte(a), []byte(b)), x.Cmp(y); got != want {
			t.Fatalf("compare %s with %s: %d, want %d", a, b, got, want)
		}
		n, m := readNumber([]byte(a)), readNumber([]byte(b))
		if n.whole() != x.IsInt() {
			t.Fatalf("%s whole: %v", a, n.whole())
		}
		if c, _ := new(big.Rat).SetString(string(n.appendCanonical(nil))); c.Cmp(x) != 0 {
			t.Fatalf("%s is written %s", a, n.appendCanonical(nil))
		}
		if y.Sign() == 0 {
			return
		}
		if got, want := n.multipleOf(m), new(big.Rat).Quo(x, y).IsInt(); got != want {
			t.Fatalf("%s multiple of %s: %v, want %v", a, b, got, want)
		}
		if k := rapid.IntRange(-9, 99).Draw(t, "times"); true {
			product := new(big.Rat).Mul(y, big.NewRat(int64(k), 1)).FloatString(60)
			if !readNumber([]byte(strings.TrimRight(product, "0") + "0")).multipleOf(m) {
				t.Fatalf("%s × %d is no multiple", b, k)
			}
		}
	})
}

func TestCommonNumbersAllocateNothing(t *testing.T) {
	a, b, d := []byte("12345678.25"), []byte("-1.5e3"), []byte("0.25")
	if n := testing.AllocsPerRun(100, func() {
		compareNumbers(a, b)
		_ = readNumber(a).whole()
		_ = readNumber(a).multipleOf(readNumber(d))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-1.5e-7", "1e999999", "12.", "e", "-", "..", "1e+"} {
		f.Add(s, "0.1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		n, m := readNumber([]byte(a)), readNumber([]byte(b))
		if n.compare(m) != -m.compare(n) || n.compare(n) != 0 {
			t.Errorf("%q and %q have no order", a, b)
		}
		n.whole()
		if len(a)+len(b) < 200 {
			n.multipleOf(m)
		}
		n.appendCanonical(nil)
	})
}
