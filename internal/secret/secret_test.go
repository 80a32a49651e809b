package secret_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sallyport/internal/secret"
)

const canary = "CANARY-5f0d"

// TestValueIsUnprintable tries every way in which values usually end up in a log.
func TestValueIsUnprintable(t *testing.T) {
	v := secret.NewValue([]byte(canary))
	holder := struct {
		Value   secret.Value
		Pointer *secret.Value
		Map     map[string]secret.Value
		Any     any
		private secret.Value
	}{v, &v, map[string]secret.Value{"k": v}, v, v}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%e", "%p", "%T", "%t", "% x", "%#x", "%10s", "%-40v"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", &v)
		fmt.Fprintf(&out, verb+"\n", holder)
		fmt.Fprintf(&out, verb+"\n", []secret.Value{v})
	}
	fmt.Fprintln(&out, v, &v, holder, holder.private)
	for _, enc := range []func(any) ([]byte, error){json.Marshal, func(x any) ([]byte, error) { return xml.Marshal(v) }} {
		b, err := enc(map[string]any{"v": v, "p": &v, "list": []any{v}})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	if err := gob.NewEncoder(&out).Encode(v); err == nil {
		t.Log("gob writes the hidden text")
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("m", "v", v, "p", &v, "holder", holder, slog.Group("g", "v", v), "err", fmt.Errorf("with %v", v))
	}
	func() {
		defer func() { fmt.Fprint(&out, recover()) }()
		panic(v)
	}()
	hex := fmt.Sprintf("%x", canary)
	decimals := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
	for _, form := range []string{canary, hex, strings.ToUpper(hex), decimals, "Q0FOQVJZ"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the output holds %q:\n%s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Error("nothing shows that a secret stood there")
	}
}

func TestValueIsACopy(t *testing.T) {
	b := []byte(canary)
	v := secret.NewValue(b)
	clear(b)
	if string(v.Expose()) != canary {
		t.Error("the value changed with the caller's bytes")
	}
	if !v.Equal(secret.NewValue([]byte(canary))) || v.Equal(secret.NewValue([]byte("other"))) || v.Equal(secret.Value{}) {
		t.Error("Equal is wrong")
	}
	if !(secret.Value{}).Empty() || v.Empty() {
		t.Error("Empty is wrong")
	}
}

func TestParseRef(t *testing.T) {
	for _, good := range []string{"env:STRIPE_KEY", "file:/run/secrets/stripe", "file:./stripe.key", "keystore:shop/stripe", "vault:kv/shop/stripe#secret_key"} {
		if r, err := secret.ParseRef(good); err != nil || r.String() != good {
			t.Errorf("%s: %v %v", good, r, err)
		}
	}
	for _, bad := range []string{"sk_live_" + canary, "", "env:", "Env:X", "http://" + canary, "keystore", "aws:" + canary} {
		_, err := secret.ParseRef(bad)
		if err == nil {
			t.Errorf("%q passed", bad)
			continue
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("the error repeats what was pasted: %v", err)
		}
	}
}

type source struct {
	v   secret.Value
	err error
}

func (s source) Read(context.Context, secret.Ref) (secret.Value, error) { return s.v, s.err }

func TestSourcesNeverGiveAnEmptyValue(t *testing.T) {
	ref := secret.Ref{Scheme: "env", Name: "X"}
	for name, s := range map[string]secret.Sources{
		"no source":     {},
		"an empty one":  {"env": source{}},
		"nothing there": {"env": source{err: secret.ErrNotFound}},
	} {
		if v, err := s.Read(context.Background(), ref); err == nil || !v.Empty() {
			t.Errorf("%s: %v %v", name, v, err)
		}
	}
	if _, err := (secret.Sources{"env": source{}}).Read(context.Background(), ref); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("an empty secret: %v", err)
	}
	if v, err := (secret.Sources{"env": source{v: secret.NewValue([]byte("x"))}}).Read(context.Background(), ref); err != nil || string(v.Expose()) != "x" {
		t.Errorf("%v %v", v, err)
	}
}
