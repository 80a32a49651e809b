package contract

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/problem"
)

// TestFormatDocument runs the examples of docs/formats/contract.md.
func TestFormatDocument(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(json contract|example)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 4 || blocks[0][1] != "json contract" {
		t.Fatalf("%d blocks were found, or the contract is not the first", len(blocks))
	}
	d, err := Load("the example", []byte(blocks[0][2]))
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks[1:] {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) { runExample(t, d, readExample(b[2])) })
	}
	for _, keyword := range knownKeywords {
		if keyword != "x-sallyport" && !strings.Contains(string(page), "`"+keyword+"`") {
			t.Errorf("the keyword %s is not on the page", keyword)
		}
	}
}

// readExample reads "key: value" lines; a key may repeat.
func readExample(text string) map[string][]string {
	out := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		key, value, _ := strings.Cut(line, ": ")
		out[key] = append(out[key], value)
	}
	return out
}

func runExample(t *testing.T, d *Document, e map[string][]string) {
	one := func(key string) string { return strings.Join(e[key], "") }
	o, ok := d.Find(one("operation"))
	if !ok {
		t.Fatalf("no operation %q", one("operation"))
	}
	in := Input{Path: one("path"), RawQuery: one("query"), ContentType: FormType, Body: []byte(one("body"))}
	if one("json") != "" {
		in.ContentType, in.Body = JSONType, []byte(one("json"))
	}
	args, unknown, err := o.Parse(in)
	if want := one("error"); want != "" {
		var p *problem.Error
		if !errors.As(err, &p) || string(p.Code) != want {
			t.Errorf("error %v; want %s", err, want)
		}
		return
	}
	if err != nil || !reflect.DeepEqual(args.Tree(), tree(t, one("args"))) {
		t.Fatalf("args %v, %v", args.Tree(), err)
	}
	var names, faults []string
	for _, f := range unknown {
		names = append(names, f.Where)
	}
	if got := strings.Join(names, " "); got != one("unknown") {
		t.Errorf("unknown %q; want %q", got, one("unknown"))
	}
	for _, f := range o.Check(args) {
		faults = append(faults, fmt.Sprintf("%s: found %s, want %s", f.Where, f.Found, f.Want))
	}
	if !reflect.DeepEqual(faults, e["fault"]) {
		t.Fatalf("faults %q\nwant %q", faults, e["fault"])
	}
	if len(faults) == 0 {
		runAnswer(t, o, args, one)
	}
}

func runAnswer(t *testing.T, o *Operation, args Args, one func(string) string) {
	out, err := o.Encode(args, map[string]string{"account_id": "acct_1"})
	if got := out.Path + "?" + out.RawQuery + " " + string(out.Body); err != nil || got != one("sent") {
		t.Errorf("sent %s, %v", got, err)
	}
	view, err := o.View(paths(t, strings.Fields(one("returns"))...))
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := o.CheckResponse(o.SuccessStatus(), JSONType, []byte(one("answer")), view)
	if err != nil || string(r.Body) != one("received") || strings.Join(r.Unknown, " ") != one("dropped") {
		t.Errorf("received %s, dropped %v, %v", r.Body, r.Unknown, err)
	}
}
