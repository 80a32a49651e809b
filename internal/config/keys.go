package config

import "sallyport/internal/egress"

// Patterns of the file's own words. Names of sites and connections are segments of URLs.
const (
	namePattern     = `^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`
	durationPattern = `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	limitPattern    = `^[0-9]+ per ([0-9]+ )?(second|minute|hour|day)s? per (session|prefix|site|operation|connection)$`
	operationName   = `^[a-z0-9]+(-[a-z0-9]+)*$`
	fieldPattern    = `^[a-z][a-z0-9_]*$`
)

// fileKeys is the table of all keys of sallyport.yaml.
func fileKeys() *key {
	return &key{kind: kindObject, keys: []*key{
		{name: "version", kind: kindWhole, required: true, want: "1", most: 1, example: "1", doc: "The version of the file's format. It is 1."},
		listenKeys(),
		storeKey(),
		{name: "data", kind: kindText, def: "the folder of `store`, or `./data`", want: "a folder such as ./data", example: "./data",
			doc: "The folder for what grows, each node's own: the audit log and ACME certificates."},
		sharedKey(),
		{name: "providers", kind: kindText, def: "`./providers`, if there is such a folder", want: "a folder such as ./providers", example: "./providers",
			doc: "The folder of imported providers, each a folder with `pack.json` and `contract.json`; `sallyport providers import` makes them."},
		{name: "secrets", kind: kindObject, doc: "Where secrets come from, apart from `env:` and `file:`.", keys: append([]*key{
			{name: "keystore", kind: kindText, def: "`keystore.age` in `data`", want: "a path such as ./data/keystore.age", example: "./data/keystore.age",
				doc: "The age-encrypted file behind `keystore:` references, unlocked by `SALLYPORT_KEYSTORE_KEY` or `SALLYPORT_KEYSTORE_KEY_FILE`; `sallyport secrets init` makes it."},
			vaultKey(),
		}, agesKeys()...)},
		{name: "sites", kind: kindTable, required: true, names: namePattern, namesAre: "SITE", item: siteKeys(),
			doc: "The client websites by name. A name is 1 to 40 lower-case letters, digits and inner hyphens. A site inherits nothing from its neighbours."},
	}}
}

func listenKeys() *key {
	return &key{name: "listen", kind: kindObject, required: true, doc: "Where the gate takes calls.", keys: []*key{
		{name: "public", kind: kindText, required: true, want: `a port or address such as ":443" or "127.0.0.1:8443"`, example: `":443"`,
			doc: "Address of the data plane: `\":443\"` is every address of the machine, `\"127.0.0.1:8443\"` only this machine."},
		{name: "http", kind: kindText, def: "none", want: `a port or address such as ":80"`, example: `":80"`,
			doc: "Plain-http address for ACME and for redirects of pages to https; never for calls."},
		{name: "tls", kind: kindObject, required: true, want: "{auto: {email: ops@agency.example}}, {cert: ./cert.pem, key: ./key.pem}, or off",
			doc:     "Where the certificate comes from: `{auto: …}` (ACME), `{cert: …, key: …}`, or `off`, which is for loopback and for gates behind a proxy named in `behind` only.",
			example: "{auto: {email: ops@agency.example}}",
			or:      &key{kind: kindText, enum: []string{"off"}},
			keys: []*key{
				{name: "auto", kind: kindObject, doc: "Certificates from an ACME authority for every `served_at` host.", keys: []*key{
					{name: "email", kind: kindText, required: true, want: "an address such as ops@agency.example", pattern: `^[^@\s]+@[^@\s]+$`, example: "ops@agency.example",
						doc: "Contact of the ACME account."},
					{name: "ca", kind: kindText, def: "Let's Encrypt", want: "an https:// directory URL", pattern: `^https://[^/\s@]+(/\S*)?$`, example: "https://acme.example/directory",
						doc: "Directory URL of another ACME authority."},
					{name: "ca_root", kind: kindText, def: "the system's roots", want: "a path to a PEM file", example: "./acme-root.pem",
						doc: "PEM file that vouches for the https of the directory itself."},
				}},
				{name: "cert", kind: kindText, want: "a path to a PEM file", example: "./cert.pem", doc: "Certificate chain in PEM."},
				{name: "key", kind: kindText, want: "a path to a PEM file that only its owner can read", example: "./key.pem", doc: "Private key in PEM; the file may be readable by its owner only."},
			}},
		{name: "names", kind: kindList, single: true, def: "none", doc: "Host names of the gate itself, under which sites without `served_at` live below `/SITE/`. The listener's own literal address always counts.",
			item: &key{kind: kindText, example: "gate.agency.example", want: "a host name such as gate.agency.example"}, example: "[gate.agency.example]"},
		{name: "behind", kind: kindObject, def: "nobody", doc: "Proxies that may say who the client is. A named peer that does not send the header gets 400.", keys: []*key{
			{name: "from", kind: kindList, required: true, doc: "Networks of those proxies.", example: "[10.0.0.0/8]", want: "a list of networks such as [10.0.0.0/8]",
				item: &key{kind: kindText, example: "10.0.0.0/8", want: "a network such as 10.0.0.0/8"}},
			{name: "client_ip", kind: kindText, def: "X-Forwarded-For", want: "a header name such as X-Forwarded-For", example: "X-Forwarded-For", pattern: "^[A-Za-z0-9-]{1,64}$",
				doc: "The header that names the client. Of a list the rightmost address that is not such a proxy counts."},
		}},
		{name: "admin", later: "there is no dashboard yet; use `sallyport check`, `freeze`, `keys` and `audit` on the machine"},
		sdkKey(),
	}}
}

func siteKeys() *key {
	return &key{kind: kindObject, keys: []*key{
		{name: "served_at", kind: kindList, single: true, def: "below `/SITE/`", doc: "Host names of the site's gate, under the site's own domain. Without one the site lives below `/SITE/` on every host of the gate, for mock, sandbox and backends only.",
			item: &key{kind: kindText, example: "api.shop.example", want: "a host name such as api.shop.example"}, example: "[api.shop.example]"},
		{name: "origins", kind: kindList, single: true, doc: "Exact origins of the site's pages. Needed as soon as a browser may call anything.",
			item: &key{kind: kindText, example: "https://shop.example", want: "an origin such as https://shop.example"}, example: "[https://shop.example]"},
		{name: "preview_origins", kind: kindList, single: true, doc: "Patterns with one `*` for preview deployments. They count for connections in mock and sandbox only.",
			item: &key{kind: kindText, example: "https://deploy-preview-*--shop.example", want: "a pattern such as https://deploy-preview-*--shop.example"}, example: `["https://deploy-preview-*--shop.example"]`},
		{name: "session", kind: kindObject, doc: "Browser sessions. A session is a visit and proves no identity.", keys: []*key{
			{name: "ttl", kind: kindText, def: "15m", pattern: durationPattern, want: "a time from 1m to 15m", example: "15m", doc: "How long a session token lives: 1m to 15m."},
		}},
		limitKey("Limits over the whole site, for instance `1000 per minute per site`. Where none is per session or per prefix, 120 per minute per session and 600 per minute per prefix hold for browsers."),
		observeKey("Checks that only report, for all connections of the site."),
		guardKeys(),
		vouchingKeys(),
		budgetKey("What all calls of the site may cost together."),
		pricesKey(),
		openidKeys(),
		{name: "connections", kind: kindTable, required: true, names: namePattern, namesAre: "CONNECTION", item: connectionKeys(), doc: "The site's uses of providers by name; the name is part of the URL: `api/CONNECTION/…`."},
		{name: "region", later: "the strictest rules hold for every visitor"},
		{name: "purposes", later: "consent and purposes are not recorded; do not connect a provider that needs the visitor's consent"},
	}}
}

func limitKey(doc string) *key {
	return &key{name: "limit", kind: kindList, single: true, doc: doc + " One limit or a list, each `N per WINDOW per KEY`; windows are second, minute, hour, day, keys are session, prefix, site, operation, connection.",
		item: &key{kind: kindText, example: "10 per minute per session", pattern: limitPattern, parsed: true, want: "a limit such as 10 per minute per session"}, example: "10 per minute per session"}
}

func observeKey(doc string) *key {
	return &key{name: "observe", kind: kindList, single: true, def: "every check enforces", doc: doc + " Each is listed by `check` and logged at every start.",
		item: &key{kind: kindText, example: "response-contract", enum: egress.Checks(), want: "request-contract, response-contract, grammar, limits, vouching or budget"}, example: "[response-contract]"}
}
