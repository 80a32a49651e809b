// Package money holds amounts of money, and counts of calls, as exact whole numbers.
//
// It guarantees that no amount ever passes through a floating-point number, that arithmetic
// which would not fit is an error and never wraps around, and that a currency is one of ISO
// 4217. It converts between no currencies: amounts of two units cannot be added.
package money

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/currency"
)

// Unit is what an amount counts: Calls, or the code of a currency in upper case (ISO 4217).
type Unit string

// Calls counts calls instead of money.
const Calls Unit = "calls"

// One is one unit in millionths: 1 USD, or one call.
const One = 1_000_000

// Amount is a number of millionths of a unit; never below zero.
type Amount struct {
	Millionths int64
	Unit       Unit
}

// maxUnits keeps sums of amounts far away from the end of an int64.
const maxUnits = 1_000_000_000

var amountPattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})(?:\.([0-9]{1,6}))? ?([A-Za-z]{3,5})$`)

// Parse reads "0.05 USD", "300 EUR" or "200 calls". Its error says what was found, then
// behind a semicolon what to write.
func Parse(s string) (Amount, error) {
	m := amountPattern.FindStringSubmatch(s)
	if m == nil {
		return Amount{}, fmt.Errorf("%q is not an amount; write a number of at most six decimals and a unit, such as 20 USD, 0.05 EUR or 200 calls", clip(s))
	}
	unit, err := ParseUnit(m[3])
	if err != nil {
		return Amount{}, err
	}
	if unit == Calls && m[2] != "" {
		return Amount{}, fmt.Errorf("%q is not a whole number of calls; write 200 calls", s)
	}
	whole, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || whole > maxUnits {
		return Amount{}, fmt.Errorf("%q is more than can be counted; write at most %d", s, maxUnits)
	}
	part, err := strconv.ParseInt((m[2] + "000000")[:6], 10, 64)
	if err != nil {
		return Amount{}, fmt.Errorf("%q is not an amount; write for instance 20 USD", s)
	}
	return Amount{Millionths: whole*One + part, Unit: unit}, nil
}

// ParseUnit reads "calls", "call" or the code of a currency, in either case.
func ParseUnit(s string) (Unit, error) {
	if s == "calls" || s == "call" {
		return Calls, nil
	}
	code := strings.ToUpper(s)
	if _, err := currency.ParseISO(code); err != nil || len(s) != 3 {
		return "", fmt.Errorf("%q is neither a currency nor calls; write a code of ISO 4217 such as EUR", clip(s))
	}
	return Unit(code), nil
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// String writes an amount as the file does: at least two decimals of money, and none of calls.
func (a Amount) String() string {
	whole, part := a.Millionths/One, a.Millionths%One
	if a.Unit == Calls {
		if a.Millionths == One {
			return "1 call"
		}
		return strconv.FormatInt(whole, 10) + " calls"
	}
	digits := fmt.Sprintf("%06d", part)
	digits = digits[:2] + strings.TrimRight(digits[2:], "0")
	return fmt.Sprintf("%d.%s %s", whole, digits, a.Unit)
}

// ErrTooLarge is the error of arithmetic whose result would not fit.
var ErrTooLarge = errors.New("the amount is too large")

// Sum adds whole numbers that are not negative.
func Sum(a, b int64) (int64, error) {
	if a < 0 || b < 0 || a+b < a {
		return 0, ErrTooLarge
	}
	return a + b, nil
}

// Product multiplies whole numbers that are not negative.
func Product(a, b int64) (int64, error) {
	if a < 0 || b < 0 {
		return 0, ErrTooLarge
	}
	if a != 0 && b > (1<<63-1)/a {
		return 0, ErrTooLarge
	}
	return a * b, nil
}

// The currencies that ISO 4217 gives other than two decimals (list one, as of 2026).
func iso(code string) int {
	switch {
	case slices.Contains([]string{"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}, code):
		return 0
	case slices.Contains([]string{"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}, code):
		return 3
	}
	return 2
}

// Decimals is how many decimals a currency has. ok is false where CLDR, which is what programs
// format by, and ISO 4217 disagree, as about RSD: nobody should guess there.
func Decimals(code string) (n int, ok bool) {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return 0, false
	}
	n, _ = currency.Standard.Rounding(unit)
	return n, n == iso(strings.ToUpper(code))
}

// Decimal writes a whole number of minor units as a decimal number: 3800 with two decimals
// is 38.00, and 3800 with none is 3800.
func Decimal(minor int64, decimals int) string {
	digits := strconv.FormatInt(minor, 10)
	if decimals <= 0 {
		return digits
	}
	if short := decimals + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	cut := len(digits) - decimals
	return digits[:cut] + "." + digits[cut:]
}
