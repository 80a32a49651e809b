package contract

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestNamesAreComparedByteForByte: a name that looks like one of ours, or that some
// folding would make one of ours, is unknown, in JSON and in forms, and sets nothing.
func TestNamesAreComparedByteForByte(t *testing.T) {
	o := operation(t, "create-payment-intent")
	for what, name := range map[string]string{
		"capitals": "AMOUNT", "title case": "Amount", "full width": "ａｍｏｕｎｔ", "one full-width letter": "aｍount",
		"Cyrillic letter": "\u0430mount", "superscript": "amou\u207ft", "zero-width space": "amo\u200bunt", "zero-width joiner": "amount\u200d",
		"bidi override": "\u202eamount", "byte order mark": "\ufeffamount", "soft hyphen": "amo\u00adunt", "combining mark": "amoun\u0301t",
		"long s": "de\u017fcription", "Kelvin sign": "pac\u212aage", "composed": "d\u00e9scription", "decomposed": "de\u0301scription",
		"dotless i": "descr\u0131ption", "ligature": "con\ufb01rm", "space before": " amount", "space after": "amount ", "NUL": "amount\x00",
	} {
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		for kind, body := range map[string]string{JSONType: `{` + string(quoted) + `:7}`, FormType: formEscape(name) + "=7"} {
			args, faults, err := o.Parse(Input{Path: "/v1/payment_intents", ContentType: kind, Body: []byte(body)})
			if err == nil && (len(faults) != 1 || len(args.Leaves()) != 0) {
				t.Errorf("%s, %s: %d faults, arguments %v", what, kind, len(faults), args.Tree())
			}
		}
	}
}

func formEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// TestTextIsNotNormalised: what a person writes goes on byte for byte, composed or not,
// and a value that only looks like an allowed one is none.
func TestTextIsNotNormalised(t *testing.T) {
	o := operation(t, "create-payment-intent")
	for _, text := range []string{"caf\u00e9", "cafe\u0301", "\u017fhop", "\u212a", "a\u200bb", "\u202eb", "ａ"} {
		quoted, _ := json.Marshal(text)
		args, faults, err := o.Parse(Input{Path: "/v1/payment_intents", ContentType: JSONType, Body: []byte(`{"description":` + string(quoted) + `}`)})
		if err != nil || len(faults) != 0 || !reflect.DeepEqual(args.Tree(), map[string]any{"description": text}) {
			t.Errorf("%q: %v %s %v", text, args.Tree(), faultText(faults), err)
		}
		out, err := o.Encode(args, nil)
		form, _ := url.ParseQuery(string(out.Body))
		if err != nil || form.Get("description") != text {
			t.Errorf("%q was encoded as %q, %v", text, out.Body, err)
		}
	}
	for _, method := range []string{"Manual", "manual ", "m\u0430nual", "ｍanual", "manual\u200b"} {
		args := NewArgs(map[string]any{"amount": json.Number("5"), "currency": "eur", "capture_method": method})
		if faults := o.Check(args); len(faults) != 1 || faults[0].Where != "capture_method" {
			t.Errorf("%q: %s", method, faultText(faults))
		}
	}
}

// TestNumbersAreNeverRounded: a number goes on digit for digit, or is refused.
func TestNumbersAreNeverRounded(t *testing.T) {
	o := operation(t, "create-order")
	const order = `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00","tax":%s}}]}`
	for number, want := range map[string]string{
		"9007199254740993": "9007199254740993", "0.1000000000000000055511151231257827": "0.1000000000000000055511151231257827",
		"18446744073709551617": "18446744073709551617", "1.50E+2": "1.50E+2", "123456789012345678901234567890.5": "123456789012345678901234567890.5",
		"1e400": "", "-1e400": "", "1e-400": "", "1" + strings.Repeat("0", 10000): "", "-0": "", "1e999999999999": "",
	} {
		in := Input{Path: "/v2/checkout/orders", ContentType: JSONType, Body: fmt.Appendf(nil, order, number)}
		args, faults, err := o.Parse(in)
		if err == nil {
			faults = append(faults, o.Check(args)...)
		}
		if want == "" {
			if err == nil && len(faults) == 0 {
				t.Errorf("%.30s was accepted", number)
			}
			continue
		}
		if err != nil || len(faults) != 0 {
			t.Errorf("%s: %v %s", number, err, faultText(faults))
			continue
		}
		if out, err := o.Encode(args, nil); err != nil || !strings.Contains(string(out.Body), `"tax":`+want+`}`) {
			t.Errorf("%s went on as %s, %v", number, out.Body, err)
		}
	}
}

// TestPatternsAreLinear: a pattern that hangs a backtracking engine costs time in
// proportion to the text, and a document cannot bring one that is huge.
func TestPatternsAreLinear(t *testing.T) {
	doc := func(pattern string) []byte {
		quoted, _ := json.Marshal(pattern)
		return fmt.Appendf(nil, `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"post":{"operationId":"do-it","x-sallyport":{"server":"s","auth":"a","retry":"safe","effects":[],"source":"s","official":{"none":"a test"}},
			"summary":"s","responses":{"200":{"description":"ok"}},"requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"a":{"type":"string","pattern":%s}}}}}}}}}}`, quoted)
	}
	for _, pattern := range []string{`^(a+)+$`, `^(a|aa)+$`, `^(a|a?)+$`, `^(.*a){20}$`} {
		d, err := Load("x.json", doc(pattern))
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		o, _ := d.Find("do-it")
		began := time.Now()
		faults := o.Check(NewArgs(map[string]any{"a": strings.Repeat("a", 50000) + "!"}))
		if took := time.Since(began); took > 2*time.Second || len(faults) != 1 {
			t.Errorf("%s: %v, %s", pattern, took, faultText(faults))
		}
	}
	for name, pattern := range map[string]string{"long": strings.Repeat("a", 16<<10+1), "large repeat": "(a{1000}){1000}", "nested repeats": "((a{100}){100}){100}"} {
		if _, err := Load("x.json", doc(pattern)); err == nil || !strings.Contains(err.Error(), "pattern") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
