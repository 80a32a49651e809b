// Package config reads sallyport.yaml and builds from it everything that the rest
// of the program is given: where to listen, where to keep things, and the sites.
//
// It guarantees that Load names every fault of a file at once, each with its line,
// what was found and what to write instead; that nothing in the file is silently
// ignored; that no secret that somebody pasted into the file is ever printed back; and
// that a File is complete and allowed in every part, or not returned at all. One
// table of keys (keys.go) decides what may stand in the file, makes the JSON Schema
// for editors, and makes docs/reference/config.md.
//
// It does not read secrets, open stores, listen, or reach the network.
package config

import (
	"io/fs"
	"net/netip"
	"time"

	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// DefaultName is the file that commands read unless told otherwise.
const DefaultName = "sallyport.yaml"

// MaxSize is the largest file that Load reads, in bytes.
const MaxSize = 4 << 20

// Catalog is what Load checks connections against.
type Catalog interface {
	// Find gives a provider by its id; its error says what to write instead.
	Find(id string) (*provider.Pack, error)
	// List gives the id of every provider, sorted.
	List() []string
	// Heads gives every provider without its contract: what secrets look like is known of all of
	// them, while contracts are loaded only for those that the file uses.
	Heads() ([]*provider.Pack, error)
	// With gives the catalog with the packs of a folder beside its own.
	With(files fs.FS, o provider.Loading) (*provider.Catalog, error)
}

// File is a whole, valid sallyport.yaml. It is immutable. All paths in it are absolute: the
// file's relative paths start at the file's own folder, wherever the program was started.
type File struct {
	Path string // as given to Load
	Dir  string // the file's folder, absolute
	Hash string // SHA-256 of the bytes read, in hex; it names this configuration in logs and audit

	Listen Listen
	// Store is the SQLite database; empty where the store is Postgres.
	Store string
	// Postgres is the database that several nodes share; nil: Store is it.
	Postgres *Postgres
	// SharedState is the Redis of several nodes; nil: this node counts for itself.
	SharedState *SharedState
	// Data is the folder for what grows. Audit and Certificates lie in it.
	Data         string
	Audit        string
	Certificates string
	// SDKAuthority is the folder of the SDK port's certificate authority.
	SDKAuthority string
	// Keystore is the age-encrypted file behind keystore: refs. It need not exist while no ref needs it.
	Keystore string
	// Vault is behind vault: refs; nil: there is none.
	Vault *Vault
	// RotateAfter is the age at which a secret is due; 0: none ever is.
	RotateAfter time.Duration
	// ProbeEvery is how often providers are asked about credentials; 0: never.
	ProbeEvery time.Duration
	// Catalog has the providers of this build and those of the folder `providers`. Load reads the
	// folder anew, so that a File goes with the packs it was checked against.
	Catalog Catalog
	// Providers is the folder of imported packs; empty: there is none.
	Providers string
	// Sites are sorted by name.
	Sites []*site.Site

	// Warnings are allowed but deserve a look.
	Warnings Faults
	// Exposures tell for each browser operation what a stranger can do with it.
	Exposures []Exposure
	// Loosened lists every loosening that the file asks for, to be logged at each start.
	Loosened []Loosening
}

// Site finds a site by name.
func (f *File) Site(name string) (*site.Site, bool) {
	for _, s := range f.Sites {
		if s.Name == name {
			return s, true
		}
	}
	return nil, false
}

// Listen says where the gate takes calls.
type Listen struct {
	Public string   // host:port of the data plane
	HTTP   string   // host:port for ACME and redirects of pages; empty: none
	TLS    TLS      //
	Names  []string // host names of the gate itself, for sites below /SITE/
	Behind *Behind  // nil: the peer is the client
	SDK    *SDK     // nil: there is no port for SDKs that take no address
}

// TLSKind says where the certificate comes from. The zero value is none of them.
type TLSKind string

// The kinds of TLS.
const (
	TLSAuto  TLSKind = "auto"  // ACME
	TLSFiles TLSKind = "files" // given certificate and key
	TLSOff   TLSKind = "off"   // on loopback, or behind a named proxy
)

// TLS says how the public listener gets its certificate.
type TLS struct {
	Kind   TLSKind
	Email  string // auto: the ACME account's contact
	CA     string // auto: directory URL; empty: the public default
	CARoot string // auto: PEM file that vouches for the directory's own https; empty: system roots
	Cert   string // files: PEM chain
	Key    string // files: PEM key, readable by its owner only
}

// Behind names the peers that may say who the client is.
type Behind struct {
	From     []netip.Prefix
	ClientIP string // header name, in canonical form
}

// Exposure is what a stranger can do with one browser operation: Origin can be forged outside a
// browser, so whatever a browser may do, anybody may do.
type Exposure struct {
	Site       string   `json:"site"`
	Connection string   `json:"connection"`
	Provider   string   `json:"provider"`
	Mode       string   `json:"mode"`
	Operation  string   `json:"operation"`
	Effects    []string `json:"effects"`             // money, message, personal, admin; empty: a plain read
	Chooses    []string `json:"chooses"`             // parameters whose value the browser chooses
	Sealed     []string `json:"sealed,omitempty"`    // parameters that only a permit of the site's backend sets: without one nobody calls it
	Owned      []string `json:"owned,omitempty"`     // parameters whose ids this visit must have received
	Before     []string `json:"before"`              // what a caller has to show: a permit, a voucher, a challenge; empty: nothing
	Guards     []string `json:"guards"`              // abuse guards that look at it: cards enforce, messages observe
	Observed   []string `json:"observed,omitempty"`  // checks of its connection that only report
	Returns    []string `json:"returns"`             // fields that the browser gets
	Receipt    []string `json:"receipt,omitempty"`   // fields that the gate states to the site's backend, signed
	Limits     []string `json:"limits"`              // limits that hold for it
	Price      string   `json:"price,omitempty"`     // what a call costs: 0.005 USD; empty: not known
	Budgets    []string `json:"budgets"`             // budgets that it counts against
	WorstDay   string   `json:"worst_day,omitempty"` // the most that strangers can make it cost in a day; empty: not known, or not bounded
	Line       int      `json:"line"`                // where it stands in the file
	Warning    string   `json:"warning,omitempty"`   // what a look is needed for
}

// Loosening is one place where the file asks for less than the safe default.
type Loosening struct {
	Where string `json:"where"` // path in the file
	Line  int    `json:"line"`
	What  string `json:"what"`
}
