package ratelimit

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
)

// Subject is who calls what. Fields that a caller does not have stay empty: all
// callers without a session share one count of a rule per session.
type Subject struct {
	Site       string
	Connection string
	Operation  string
	// Session is the visit's id, or, for a backend, the id of its site key.
	Session string
	Client  netip.Addr
}

// Level is where a rule stands in the file. A rule of an operation counts calls of
// that operation only; a rule of a site counts all calls of the site.
type Level uint8

// The levels. The zero Level is the widest, so that forgetting it counts more, not less.
const (
	AtSite Level = iota
	AtConnection
	AtOperation
)

// String names the level.
func (l Level) String() string {
	switch l {
	case AtSite:
		return "site"
	case AtConnection:
		return "connection"
	case AtOperation:
		return "operation"
	}
	return "unknown"
}

// Key is one count: a 128-bit hash under the limiter's own random seeds, or under the key
// that nodes share. Keys of limiters that share nothing do not compare.
type Key struct{ hi, lo uint64 }

// KeyOf is the key of a hash that somebody else made; it must be a keyed one.
func KeyOf(hash [16]byte) Key {
	return Key{hi: binary.BigEndian.Uint64(hash[:8]), lo: binary.BigEndian.Uint64(hash[8:])}
}

// Bytes is what KeyOf was given.
func (k Key) Bytes() (hash [16]byte) {
	binary.BigEndian.PutUint64(hash[:8], k.hi)
	binary.BigEndian.PutUint64(hash[8:], k.lo)
	return hash
}

// Check is one rule to be asked for one key.
type Check struct {
	Key   Key
	Rule  Rule
	Level Level
}

// Check makes the check of one rule that stands at level, for s.
func (l *Limiter) Check(level Level, r Rule, s *Subject) Check {
	return Check{Key: l.Key(level, r, s), Rule: r, Level: level}
}

// Append adds the checks of all rules that stand at level, for s, to checks.
func (l *Limiter) Append(checks []Check, level Level, rules []Rule, s *Subject) []Check {
	for _, r := range rules {
		checks = append(checks, l.Check(level, r, s))
	}
	return checks
}

// Key is the count that rule r, standing at level, keeps for s. Two rules never share
// a count, even where they count by the same thing.
func (l *Limiter) Key(level Level, r Rule, s *Subject) Key {
	var buf [256]byte
	b := AppendName(buf[:0], level, r, s)
	return Key{hi: maphash.Bytes(l.seeds[0], b), lo: maphash.Bytes(l.seeds[1], b)}
}

// AppendName adds to b what a Key is a hash of. It holds personal data (the client's
// network, the visit): only a keyed hash of it may be kept.
func AppendName(b []byte, level Level, r Rule, s *Subject) []byte {
	connection, operation := level >= AtConnection, level >= AtOperation
	switch r.Per {
	case PerConnection:
		connection = true
	case PerOperation:
		connection, operation = true, true
	}
	b = append(b, byte(level))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Calls))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Window))
	b = appendText(b, string(r.Per))
	b = appendText(b, s.Site)
	if connection {
		b = appendText(b, s.Connection)
	}
	if operation {
		b = appendText(b, s.Operation)
	}
	switch r.Per {
	case PerSession:
		b = appendText(b, s.Session)
	case PerPrefix:
		b = appendPrefix(b, s.Client)
	}
	return b
}

// appendText writes a length before the text, so that ("ab","c") and ("a","bc") differ.
func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func appendPrefix(b []byte, a netip.Addr) []byte {
	p := Prefix(a)
	if !p.IsValid() {
		return append(b, 0)
	}
	raw := p.Addr().As16()
	b = append(b, byte(p.Bits()))
	return append(b, raw[:]...)
}

// Prefix is the network that a client counts as: IPv4 /24, IPv6 /56. An IPv4-mapped
// IPv6 address is the IPv4 address; a zone is dropped. An invalid address has an
// invalid prefix, and all such clients count as one.
func Prefix(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 56
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil { // only for the invalid address
		return netip.Prefix{}
	}
	return p
}
