package site

import (
	"time"

	"sallyport/internal/secret"
)

// Webhooks is how a connection takes the provider's events in, and where they go.
type Webhooks struct {
	// Scheme and Params describe how the provider signs (package webhook/scheme).
	Scheme string
	Params map[string]string
	// Secret verifies; Token is what the provider says when it asks whether the address is ours.
	Secret secret.Ref
	Token  secret.Ref
	// Types are the events that are kept; empty: all.
	Types []string
	// Keep is how long an event is kept after it came, at least seven days.
	Keep         time.Duration
	Destinations []Destination
}

// Destination is where events go.
type Destination struct {
	Name string // within the connection
	URL  string
	// Types are the events that it gets; empty: all.
	Types []string
	// Provider: the request goes on as it came, signed in the provider's own scheme; else it is
	// signed by Standard Webhooks.
	Provider bool
	SignWith secret.Ref
	// Ordered: one event of an object after the other.
	Ordered bool
	AtOnce  int           // attempts at the same time; 0: the usual number
	Every   time.Duration // between the beginnings of two attempts; 0: none
	Private bool          // may be at a non-public address
}
