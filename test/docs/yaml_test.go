package docs

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"

	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/test/harness"
)

// The keys by which a fragment shows where it belongs, from the outside in.
var (
	fileKeys       = []string{"version", "listen", "store", "data", "secrets", "sites", "shared_state"}
	connectionKeys = []string{"provider", "mode", "credentials", "browser", "backend", "upstream", "mock", "public"}
	siteKeys       = []string{"served_at", "origins", "preview_origins", "session", "limit", "observe", "connections"}
	ruleKeys       = []string{"free", "fixed", "one_of", "range", "sealed", "owned", "returns", "receipt"}
)

type tree = map[string]any

// checkYAML loads a whole file, or a fragment inside the smallest file that it fits in.
func checkYAML(t *testing.T, text string) error {
	t.Helper()
	var fragment tree
	if err := yaml.Unmarshal([]byte(text), &fragment); err != nil {
		return err
	}
	if _, whole := fragment["version"]; !whole {
		file, err := wrap(fragment)
		if err != nil {
			return err
		}
		raw, err := yaml.Marshal(file)
		if err != nil {
			return err
		}
		text = string(raw)
	}
	dir := t.TempDir()
	pair, cert := harness.Certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"sallyport.yaml": []byte(text), "mock-ca.pem": cert, "cert.pem": cert,
		"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	if _, faults := config.Load(filepath.Join(dir, "sallyport.yaml"), provider.Builtin()); len(faults) > 0 {
		return fmt.Errorf("the file is refused:\n%w\n%s", faults, text)
	}
	return nil
}

// wrap puts a fragment where its keys say that it belongs.
func wrap(fragment tree) (tree, error) {
	switch {
	case hasAny(fragment, fileKeys):
		return over(file(site(nil)), fragment), nil
	case hasAny(fragment, connectionKeys):
		return file(site(tree{"payments": connection(fragment)})), nil
	case hasAny(fragment, siteKeys):
		return file(over(site(nil), fragment)), nil
	case hasAny(fragment, ruleKeys):
		return file(site(tree{"payments": connection(tree{"browser": tree{"create-payment-intent": fragment}})})), nil
	}
	connections, rules := tree{}, tree{}
	for name, v := range fragment {
		inner, ok := v.(tree)
		switch {
		case ok && hasAny(inner, connectionKeys):
			connections[name] = connection(inner)
		case ok && hasAny(inner, ruleKeys):
			rules[name] = inner
		default:
			return nil, fmt.Errorf("%q: this fragment does not show where it belongs", name)
		}
	}
	if len(rules) > 0 {
		connections["payments"] = connection(tree{"browser": rules})
	}
	return file(site(connections)), nil
}

func hasAny(t tree, names []string) bool {
	for _, n := range names {
		if _, ok := t[n]; ok {
			return true
		}
	}
	return false
}

func over(base, with tree) tree {
	for k, v := range with {
		base[k] = v
	}
	return base
}

func file(shop tree) tree {
	return tree{"version": 1, "listen": tree{"public": "127.0.0.1:8443", "tls": "off"}, "sites": tree{"shop": shop}}
}

func site(connections tree) tree {
	if connections == nil {
		connections = tree{"payments": connection(tree{})}
	}
	return tree{"served_at": []string{"api.shop.example"}, "origins": []string{"https://shop.example"}, "connections": connections}
}

// connection is complete where the fragment leaves out what it does not talk about.
func connection(fragment tree) tree {
	whole := over(tree{"provider": "stripe", "mode": "mock"}, fragment)
	if !hasAny(whole, []string{"browser", "backend"}) {
		whole["backend"] = "all"
	}
	return whole
}
