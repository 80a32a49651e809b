// Package arch holds the rules of the house (docs/architecture.md) as data, and a
// test that holds the code against them and prints the reason where it fails.
//
// It guarantees nothing at run time: nothing imports it.
package arch

// Ring says how far from the edge a package stands. A package imports only lower
// rings, and inside its own ring only the edges listed in Edges.
type Ring int

// Packages gives every package of the module its ring, by path below internal/.
func Packages() map[string]Ring {
	return map[string]Ring{
		"problem":     0,
		"tape":        0,
		"secret":      0,
		"secret/seal": 0, "secret/seal/sealtest": 0,
		"secret/age": 0, "secret/age/agetest": 0,

		"site": 1, "provider": 1, "contract": 1, "openapi": 1, "outbound": 1, "session": 1, "ratelimit": 1, "audit": 1,
		"money": 1, "budget": 1, "order": 1,
		"session/sessiontest": 1, "ratelimit/ratelimittest": 1, "audit/audittest": 1,
		"jws": 1, "authcode": 1, "permit": 1, "receipt": 1, "receipt/receipttest": 1,
		"phone": 1, "guard": 1,
		"challenge": 1,
		"probe":     1, "probe/probetest": 1,
		"oauth": 1, "oauth/oauthtest": 1,
		"webhook/scheme":    1,
		"schema":            1,
		"wire":              1,
		"schema/schematest": 1,

		"egress": 2, "egress/egresstest": 2, "openid": 2, "openid/openidtest": 2, "mock": 2, "importer": 2, "typescript": 2,
		"login": 2, "login/logintest": 2, "grant": 2, "grant/granttest": 2,
		"webhook": 2, "webhook/webhooktest": 2,

		"ingress": 3, "sdkproxy": 3, "observe": 3, "store/sqlite": 3, "store/postgres": 3, "store/redis": 3, "store/compiled": 3,
		"secret/env": 3, "secret/file": 3, "secret/keystore": 3, "secret/hashivault": 3,

		"config": 4, "app": 4, "cli": 4, "demo": 4, "arch": 4,
	}
}

// Edges lists the imports allowed inside one ring. They are acyclic.
func Edges() map[string][]string {
	return map[string][]string{
		"secret/seal":             {"secret"},
		"secret/seal/sealtest":    {"secret", "secret/seal"},
		"secret/age":              {"secret"},
		"secret/age/agetest":      {"secret/age"},
		"probe/probetest":         {"probe"},
		"egress/egresstest":       {"egress"},
		"openid/openidtest":       {"openid"},
		"login/logintest":         {"login"},
		"grant":                   {"login"},
		"grant/granttest":         {"grant"},
		"webhook/webhooktest":     {"webhook"},
		"audit/audittest":         {"audit"},
		"secret":                  {"problem"},
		"budget":                  {"money"},
		"order":                   {"money"},
		"site":                    {"budget", "contract", "guard", "money", "order", "provider", "ratelimit"},
		"guard":                   {"phone", "ratelimit"},
		"contract":                {"schema", "wire"},
		"provider":                {"contract", "money", "schema", "webhook/scheme"},
		"wire":                    {"schema"},
		"authcode":                {"jws", "outbound"},
		"session":                 {"jws", "provider", "ratelimit", "site"},
		"ratelimit/ratelimittest": {"ratelimit"},
		"challenge":               {"ratelimit"},
		"probe":                   {"contract", "outbound", "provider", "site"},
		"session/sessiontest":     {"session", "provider"},
		"permit":                  {"jws", "session", "site"},
		"receipt":                 {"jws", "site"},
		"receipt/receipttest":     {"receipt"},
		"mock":                    {"egress"},
		"oauth":                   {"outbound"},
		"oauth/oauthtest":         {"oauth"},
		"app":                     {"config"},
		"demo":                    {"app", "config"},
		"cli":                     {"app", "config", "demo"},
	}
}

// Rule forbids something to everybody but a few, with the reason.
type Rule struct {
	What   string   // an import path, or a selector such as os.Getenv
	Only   []string // packages that may; a trailing /... covers a subtree
	Reason string
}

// Rules are the walls that are about more than rings.
func Rules() []Rule {
	return []Rule{
		{"database/sql", []string{"store/..."}, "SQL stays in the stores, so that flows can be tested and moved between SQLite and PostgreSQL"},
		{"github.com/redis/go-redis/v9", []string{"store/redis"}, "Redis stays behind the interfaces of those who count"},
		{"github.com/hashicorp/vault/api", []string{"secret/hashivault"}, "Vault stays behind secret.Source"},
		{"github.com/jackc/pgx/v5", []string{"store/postgres"}, "SQL stays in the stores"},
		{"modernc.org/sqlite", []string{"store/sqlite"}, "SQL stays in the stores"},
		{"os.Getenv", []string{"config", "secret/env", "cli", "arch"}, "what comes from the environment is read in one place and handed on"},
		{"os.LookupEnv", []string{"config", "secret/env", "cli", "arch"}, "what comes from the environment is read in one place and handed on"},
		{"net.Dial", []string{"outbound"}, "only outbound dials: it classifies the address that is really dialled"},
		{"net.DialTimeout", []string{"outbound"}, "only outbound dials"},
		{"net.Dialer", []string{"outbound"}, "only outbound dials"},
		{"tls.Dial", []string{"outbound"}, "only outbound dials"},
		{"http.Get", nil, "the default client follows redirects, reads the environment's proxy and dials anywhere"},
		{"http.Post", nil, "the default client dials anywhere"},
		{"http.DefaultClient", nil, "the default client dials anywhere"},
		{"http.DefaultTransport", nil, "the default transport dials anywhere"},
		{"net/http/httputil", nil, "ReverseProxy let 45 of 75 hostile requests through (docs/adr/0002)"},
		{"github.com/spf13/cobra", []string{"cli"}, "flags end at the command line"},
		{"github.com/goccy/go-yaml", []string{"config"}, "YAML ends at the configuration"},
		{"go.yaml.in/yaml/v3", []string{"openapi"}, "descriptions of APIs are written in YAML; nothing behind their import is"},
	}
}
