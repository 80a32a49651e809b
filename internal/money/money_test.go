package money_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"sallyport/internal/money"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in, text   string
		millionths int64
	}{
		{"20 USD", "20.00 USD", 20_000_000},
		{"0.05 usd", "0.05 USD", 50_000},
		{"0.00283 EUR", "0.00283 EUR", 2_830},
		{"0.000001 EUR", "0.000001 EUR", 1},
		{"200 calls", "200 calls", 200_000_000},
		{"1 call", "1 call", 1_000_000},
		{"1000000000 JPY", "1000000000.00 JPY", 1_000_000_000_000_000},
		{"0 USD", "0.00 USD", 0},
	} {
		a, err := money.Parse(c.in)
		if err != nil || a.Millionths != c.millionths || a.String() != c.text {
			t.Errorf("Parse(%q) = %+v (%s), %v; want %d, %s", c.in, a, a, err, c.millionths, c.text)
		}
	}
	for _, bad := range []string{"", "20", "USD", "20USDX", "-1 USD", "+1 USD", "1e3 USD", "1,5 USD", "01 USD", "0.0000001 USD", "1.5 calls", "2 ZZZ", "20 US", "1000000001 USD", "20  USD", "20 USD "} {
		a, err := money.Parse(bad)
		if err == nil {
			t.Errorf("Parse(%q) = %s; want an error", bad, a)
		} else if !strings.Contains(err.Error(), "; write") {
			t.Errorf("Parse(%q): %v says not what to write", bad, err)
		}
	}
}

func TestDecimals(t *testing.T) {
	for code, want := range map[string]int{"EUR": 2, "USD": 2, "JPY": 0, "KRW": 0, "KWD": 3, "TND": 3, "BHD": 3, "XOF": 0, "HUF": 2} {
		if n, ok := money.Decimals(code); n != want || !ok {
			t.Errorf("Decimals(%s) = %d, %v; want %d", code, n, ok, want)
		}
	}
	// CLDR formats these without decimals, ISO 4217 gives them two (IQD three).
	for _, code := range []string{"RSD", "IDR", "PKR", "IQD", "ZZZ", ""} {
		if n, ok := money.Decimals(code); ok {
			t.Errorf("Decimals(%s) = %d: the lists disagree, so nothing may be said", code, n)
		}
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		minor    int64
		decimals int
		want     string
	}{{3800, 2, "38.00"}, {5, 2, "0.05"}, {0, 2, "0.00"}, {1900, 0, "1900"}, {1234, 3, "1.234"}, {7, 3, "0.007"}, {math.MaxInt64, 2, "92233720368547758.07"}} {
		if got := money.Decimal(c.minor, c.decimals); got != c.want {
			t.Errorf("Decimal(%d, %d) = %s; want %s", c.minor, c.decimals, got, c.want)
		}
	}
}

func TestArithmeticNeverWraps(t *testing.T) {
	for _, c := range [][2]int64{{math.MaxInt64, 1}, {math.MaxInt64, math.MaxInt64}, {-1, 5}, {5, -1}} {
		if n, err := money.Sum(c[0], c[1]); !errors.Is(err, money.ErrTooLarge) {
			t.Errorf("Sum(%d, %d) = %d, %v", c[0], c[1], n, err)
		}
	}
	for _, c := range [][2]int64{{math.MaxInt64, 2}, {2, math.MaxInt64}, {1 << 32, 1 << 31}, {-1, 5}, {5, -1}} {
		if n, err := money.Product(c[0], c[1]); !errors.Is(err, money.ErrTooLarge) {
			t.Errorf("Product(%d, %d) = %d, %v", c[0], c[1], n, err)
		}
	}
	if n, err := money.Product(math.MaxInt64, 1); err != nil || n != math.MaxInt64 {
		t.Errorf("Product(max, 1) = %d, %v", n, err)
	}
	if n, err := money.Product(0, math.MaxInt64); err != nil || n != 0 {
		t.Errorf("Product(0, max) = %d, %v", n, err)
	}
}
