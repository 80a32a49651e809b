package login

import (
	"context"
	"time"
)

// MaxPerSubject is how many sign-ins of one person at one site are kept: the oldest go.
const MaxPerSubject = 20

// Stored is a sign-in as a Store keeps it.
type Stored struct {
	// ID is the hash of what the browser's cookie holds: nobody can make the cookie from it.
	ID         string
	Site       string
	Connection string
	Subject    string
	// Sealed are the claims, under the site's data key.
	Sealed      []byte
	Begun, Ends time.Time
}

// Store keeps sign-ins until they end. Methods are safe for concurrent use, from several
// processes too; a nil error means durable.
type Store interface {
	// CreateLogin stores l, and removes all but the MaxPerSubject newest of its subject; the
	// ids of those are told.
	CreateLogin(ctx context.Context, l Stored) (dropped []string, err error)
	// FindLogin finds a sign-in of a site.
	FindLogin(ctx context.Context, site, id string) (Stored, bool, error)
	// DeleteLogin removes a sign-in and reports whether there was one.
	DeleteLogin(ctx context.Context, site, id string) (bool, error)
	// DeleteLoginsOf removes all sign-ins of a subject of a site, and gives their ids.
	DeleteLoginsOf(ctx context.Context, site, subject string) ([]string, error)
	// PurgeLogins removes what ended before now.
	PurgeLogins(ctx context.Context, now time.Time) (int, error)
	// SubjectKey gives the sealed key of a site's pseudonyms; where there is none, fresh is
	// stored and becomes it. It never changes: with another key every person would be a
	// stranger.
	SubjectKey(ctx context.Context, site string, fresh []byte) ([]byte, error)
}
