package config

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport/internal/provider"
)

const example = "../../docs/reference/sallyport.example.yaml"

// parse reads a document that stands in a test.
func parse(t *testing.T, doc string) (*File, Faults) {
	t.Helper()
	return Parse(filepath.Join(t.TempDir(), "sallyport.yaml"), []byte(doc), catalog())
}

// TestExampleIsWhole: the documented example loads without a fault, and every part of it arrives.
func TestExampleIsWhole(t *testing.T) {
	file, faults := Load(example, catalog())
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	shop, ok := file.Site("shop")
	if !ok || len(file.Sites) != 1 {
		t.Fatalf("sites: %+v", file.Sites)
	}
	dir, err := filepath.Abs("../../docs/reference")
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"public":      {file.Listen.Public, "127.0.0.1:8443"},
		"tls":         {file.Listen.TLS.Kind, TLSOff},
		"store":       {file.Store, filepath.Join(dir, "data", "sallyport.db")},
		"keystore":    {file.Keystore, filepath.Join(dir, "data", "keystore.age")},
		"audit":       {file.Audit, filepath.Join(dir, "data", "audit")},
		"served_at":   {strings.Join(shop.ServedAt, " "), "api.shop.example"},
		"origin":      {string(shop.Origins[0]), "https://shop.example"},
		"previews":    {len(shop.PreviewOrigins), 1},
		"site limits": {len(shop.Limits), 2},
		"connections": {len(shop.Connections), 3},
		"warnings":    {len(file.Warnings), 1}, // money is open to browsers in sandbox
		"exposures":   {len(file.Exposures), 3},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
	pay := shop.Connections["payments"]
	rule := pay.Browser["create-payment-intent"]
	if pay.Mode != provider.Sandbox || pay.Credentials["secret_key"].String() != "env:STRIPE_SECRET_KEY" || rule == nil {
		t.Fatalf("payments: %+v", pay)
	}
	if len(rule.Free) != 1 || len(rule.Fixed) != 2 || len(rule.OneOf) != 1 || len(rule.Range) != 1 || len(rule.Returns) != 5 || len(rule.Limits) != 2 {
		t.Errorf("the rule lost a part: %+v", rule)
	}
	if rule.Range[0].Min != 500 || rule.Range[0].Max != 500000 {
		t.Errorf("range: %+v", rule.Range[0])
	}
	if !shop.Connections["maps"].BackendAll || pay.BackendAll || len(pay.Backend) != 3 {
		t.Error("backend: all and a list were mixed up")
	}
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tree reads YAML by another way than Load does.
func tree(t *testing.T, path string) any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatalf("%s is no YAML for an editor: %v", path, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSchema: editors accept the example, and refuse the files whose shape is broken.
func TestSchema(t *testing.T) {
	s := schema(t)
	if err := s.Validate(tree(t, example)); err != nil {
		t.Errorf("the example: %v", err)
	}
	for _, name := range []string{"unknown-keys", "not-in-this-version", "shapes", "returns", "names", "tls-nothing", "a-list"} {
		if s.Validate(tree(t, "testdata/config/bad/"+name+".yaml")) == nil {
			t.Errorf("%s.yaml: the schema accepts what Load refuses", name)
		}
	}
}

// TestReferenceIsCurrent: docs/reference/config.md is what the table of keys says.
func TestReferenceIsCurrent(t *testing.T) {
	golden(t, "../../docs/reference/config.md", Reference())
}

// TestEveryKeyIsDocumented: a row without words cannot be used by anybody.
func TestEveryKeyIsDocumented(t *testing.T) {
	var visit func(path string, k *key)
	visit = func(path string, k *key) {
		for _, sub := range k.keys {
			at := child(path, sub.name)
			if sub.later == "" && sub.doc == "" && !(sub.kind == kindSwitch && sub.example != "") {
				t.Errorf("%s has no documentation", at)
			}
			visit(at, sub)
		}
		if k.item != nil {
			visit(path+"[]", k.item)
		}
	}
	visit("", fileKeys())
}

// TestSecretsAreNeverRepeated: whatever is wrong with a file, no fault holds a secret that stands in it.
func TestSecretsAreNeverRepeated(t *testing.T) {
	dir, names := badFiles(t)
	for _, name := range names {
		file, faults := Load(filepath.Join(dir, name), catalog())
		if file != nil {
			t.Fatalf("%s was accepted", name)
		}
		asJSON, err := json.Marshal(faults)
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{faults.Error(), string(asJSON)} {
			if low := strings.ToLower(out); strings.Contains(low, "canary") || strings.Contains(low, "hunter2") {
				t.Errorf("%s: a secret is printed back:\n%s", name, out)
			}
		}
	}
}

// TestSecretAnywhere puts a key in every place of the example where a value or a key stands.
func TestSecretAnywhere(t *testing.T) {
	const canary = "sk_live_51CanaryCanaryCanary99"
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	places := 0
	for i, line := range strings.Split(string(data), "\n") {
		before, after, ok := strings.Cut(line, ": ")
		if !ok || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		forms := []string{before + ": " + canary, before + ": {" + canary + ": " + after + "}", before + ": [" + canary + "]"}
		lines := strings.Split(string(data), "\n")
		lines[i] = forms[i%len(forms)]
		file, faults := Parse(example, []byte(strings.Join(lines, "\n")), catalog())
		if file != nil {
			t.Errorf("line %d: %q was accepted", i+1, lines[i])
		}
		if strings.Contains(strings.ToLower(faults.Error()), "canarycanary") {
			t.Errorf("line %d: the secret is printed back:\n%v", i+1, faults)
		}
		places++
	}
	if places < 30 {
		t.Errorf("only %d places tried", places)
	}
}

// TestChosenNamesAreNoSecrets: names with a number in them are names; what nobody would
// choose is not, also with hyphens in it.
func TestChosenNamesAreNoSecrets(t *testing.T) {
	doc := func(site, connection, operation string) string {
		return "version: 1\nlisten: {public: \"127.0.0.1:0\", tls: off}\nsites: {" + site + ": {connections: {" + connection +
			": {provider: vonage, mode: mock, backend: [" + operation + "]}}}}\n"
	}
	packs, err := provider.Builtin().Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packs {
		for _, op := range p.Contract().Operations() {
			if random(op.ID) {
				t.Errorf("%s %s is taken for a secret", p.ID, op.ID)
			}
		}
	}
	for _, name := range []string{"garden-shop-2026", "bakery-221-baker-street", "2-brothers-shop-berlin"} {
		if _, faults := parse(t, doc(name, name+"-messages", "fetch-verification-v1")); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
	}
	for _, key := range []string{"a1b2c3d4-e5f6a7b8", "550e8400-e29b-41d4-a716-446655440000", "abcd1234abcd1234abcd1234", "xkcdqwrt-bdfghjkl-01", "Garden-Shop-Key-99", "k3-f9-q2-z8-p4-w7"} {
		if _, faults := parse(t, doc("shop", key, "send-sms")); len(faults) == 0 || strings.Contains(faults.Error(), key) {
			t.Errorf("%s: %v", key, faults)
		}
	}
}

func TestSitesInheritNothing(t *testing.T) {
	file, faults := parse(t, `
version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  a:
    origins: [https://a.example]
    observe: [grammar]
    limit: 10 per minute per site
    session: {ttl: 5m}
    connections:
      pay: {provider: stripe, mode: mock, mock: {seed: 3}, browser: {list-prices: {returns: []}}}
  b:
    connections:
      pay: {provider: stripe, mode: mock, backend: all}
`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	b, _ := file.Site("b")
	pay := b.Connections["pay"]
	if len(b.Origins) != 0 || len(b.Limits) != 0 || b.SessionTTL.Minutes() != 15 || len(pay.Observe) != 0 || pay.Mock.Seed != 0 || len(pay.Browser) != 0 {
		t.Errorf("b has something of a: %+v %+v", b, pay)
	}
	if len(file.Loosened) != 1 || file.Loosened[0].What != "grammar only reports for a/pay" {
		t.Errorf("loosened: %+v", file.Loosened)
	}
}

func TestVersions(t *testing.T) {
	pack, err := catalog().Find("stripe")
	if err != nil {
		t.Fatal(err)
	}
	doc := func(version string) string {
		return `
version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites: {a: {connections: {pay: {provider: stripe, mode: mock, backend: all` + version + `}}}}
`
	}
	file, faults := parse(t, doc(""))
	if len(faults) > 0 || file.Sites[0].Connections["pay"].Version != pack.Version.Default {
		t.Errorf("no version: %v", faults)
	}
	file, faults = parse(t, doc(", version: 2025-01-27.acacia"))
	if len(faults) > 0 || file.Sites[0].Connections["pay"].Version != "2025-01-27.acacia" || len(file.Warnings) != 1 {
		t.Errorf("another version: %v %v", faults, file)
	}
	if _, faults = parse(t, doc(", version: latest")); len(faults) != 1 || !strings.Contains(faults[0].Hint, pack.Version.Default) {
		t.Errorf("no version at all: %v", faults)
	}
}

// TestHostileDocuments: nothing in a file can make the reader fail in another way than by a fault.
func TestHostileDocuments(t *testing.T) {
	for name, doc := range map[string]string{
		"deep flow":      "a: " + strings.Repeat("[", 100000),
		"deep mappings":  "a: " + strings.Repeat("{a: ", 50000),
		"deep blocks":    strings.Repeat("- ", 500000) + "x",
		"too large":      "a: " + strings.Repeat("x", MaxSize),
		"billion laughs": "a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
		"NUL":            "version: 1\x00",
		"bad UTF-8":      "version: \xff\xfe",
		"inner BOM":      "version: 1\n\ufefflisten: {}",
		"only a scalar":  "hello",
		"null":           "~",
		"many keys":      "sites:\n" + strings.Repeat("  a: 1\n", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			if file, faults := parse(t, doc); file != nil || len(faults) == 0 {
				t.Errorf("accepted: %v", faults)
			}
		})
	}
}

func TestCheckCredential(t *testing.T) {
	field := provider.CredentialField{Name: "key", Title: "Key", Secret: true, Pattern: "^k_(live|test)_[a-z]+$",
		Modes: provider.Shapes{provider.Live: "^k_live_", provider.Sandbox: "^k_test_"}}
	for _, c := range []struct {
		mode  provider.Mode
		value string
		want  string
	}{
		{provider.Live, "k_live_abc", ""},
		{provider.Sandbox, "k_test_abc", ""},
		{provider.Live, "k_test_abc", "has the form of a sandbox value"},
		{provider.Sandbox, "k_live_abc", "has the form of a live value"},
		{provider.Live, "canary", "not well-formed for mode live"},
		{provider.Live, "k_live_ABC", "not well-formed"},
		{provider.Mock, "whatever", ""},
	} {
		err := CheckCredential(field, c.mode, []byte(c.value))
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.value)) {
			t.Errorf("%s in %s: got %v, want %q", c.value, c.mode, err, c.want)
		}
	}
}

func TestKeystorePath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sallyport.yaml")
	if got, faults := KeystorePath(path); len(faults) > 0 || got != filepath.Join(dir, "data", "keystore.age") {
		t.Errorf("no file: %s %v", got, faults)
	}
	if err := os.WriteFile(path, []byte("secrets: {keystore: ./k.age}\nsites: half-written\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, faults := KeystorePath(path); len(faults) > 0 || got != filepath.Join(dir, "k.age") {
		t.Errorf("half a file: %s %v", got, faults)
	}
}

func TestKeystoreKey(t *testing.T) {
	t.Setenv("SALLYPORT_KEYSTORE_KEY", "")
	t.Setenv("SALLYPORT_KEYSTORE_KEY_FILE", "")
	if key, err := KeystoreKey(context.Background()); err != nil || !key.Empty() {
		t.Errorf("neither: %v", err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SALLYPORT_KEYSTORE_KEY_FILE", path)
	if key, err := KeystoreKey(context.Background()); err != nil || string(key.Expose()) != "from the file" {
		t.Errorf("file: %v", err)
	}
	t.Setenv("SALLYPORT_KEYSTORE_KEY", "direct")
	if _, err := KeystoreKey(context.Background()); err == nil {
		t.Error("both set, and one was taken silently")
	}
	t.Setenv("SALLYPORT_KEYSTORE_KEY_FILE", "")
	if key, err := KeystoreKey(context.Background()); err != nil || string(key.Expose()) != "direct" {
		t.Errorf("variable: %v", err)
	}
}
