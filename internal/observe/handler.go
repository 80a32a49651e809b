// Package observe writes the gate's log: JSON, one line per call, only fields that
// stand in a list.
//
// It guarantees that an attribute whose key is not in the list is dropped and
// counted, that one whose value has another type than the list says shows that type's
// name and not the value, and that no text can end a line or move a cursor. Query
// strings, bodies, header values and client addresses have no key. It does not
// rotate files (write to standard error), and it cannot know what stands in a text
// under an allowed key: callers put names there, never what a visitor sent.
package observe

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
)

// Kind is what type of value a key may have.
type Kind int

// The kinds. The zero Kind allows nothing.
const (
	Nothing Kind = iota
	Text         // a string; at most 512 bytes of it are shown
	Number
	Flag
	Span   // a time.Duration
	Moment // a time.Time
	Fault  // an error; URLs in its text lose their query and user info
	own    // a type of this package
)

// Options of New. The zero Options logs from level Info on, with Keys().
type Options struct {
	Level slog.Leveler
	// Keys adds to Keys(), for instance those of a package that has more to tell.
	Keys map[string]Kind
}

// Keys lists the keys that every log of the gate may have. The result is the caller's.
func Keys() map[string]Kind {
	keys := map[string]Kind{
		"error": Fault,
		"took":  Span, "timeout": Span, "retry_after": Span, "age": Span,
		"expires": Moment, "created": Moment, "signs_from": Moment,
		"ok": Flag, "enabled": Flag, "renewal": Flag,
	}
	for _, k := range []string{"request", "site", "connection", "provider", "operation", "mode", "caller",
		"code", "outcome", "limit", "config", "component", "listen", "host", "file", "version", "name",
		"delivery", "event", "reason", "check", "decision", "signal", "panic", "protocol", "kind", "hint", "store", "key_id", "state"} {
		keys[k] = Text
	}
	for _, k := range []string{"status", "attempt", "attempts", "count", "bytes", "bytes_in", "bytes_out",
		"dropped", "line", "column", "sites", "connections", "segment", "limit_bytes", "pid", "port", "micros",
		"open", "refused", "dropped_attrs"} {
		keys[k] = Number
	}
	for _, k := range []string{"decisions", "phases", "observed", "stack"} {
		keys[k] = own
	}
	return keys
}

// New makes a logger that writes JSON lines to w. Writes are not concurrent.
func New(w io.Writer, o Options) *slog.Logger { return slog.New(NewHandler(w, o)) }

// Handler is the slog.Handler behind New.
type Handler struct {
	next    slog.Handler
	keys    map[string]Kind
	dropped *atomic.Int64
	attrs   []slog.Attr // from WithAttrs, already checked
	missing int         // how many of them were dropped
}

// NewHandler makes the handler, for those who want to read Dropped.
func NewHandler(w io.Writer, o Options) *Handler {
	keys := Keys()
	for k, kind := range o.Keys {
		if kind != own {
			keys[k] = kind
		}
	}
	for _, builtin := range []string{slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey} {
		delete(keys, builtin)
	}
	level := o.Level
	if level == nil {
		level = slog.LevelInfo
	}
	return &Handler{next: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}), keys: keys, dropped: new(atomic.Int64)}
}

// Dropped is how many attributes were left out so far, because their keys are not in
// the list. A test of the whole gate wants it to be 0.
func (h *Handler) Dropped() int64 { return h.dropped.Load() }

// Enabled is the level check.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle writes one line. Where a key comes twice, the later one counts.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time.UTC(), r.Level, clean(r.Message, maxText), 0)
	attrs, missing := make([]slog.Attr, len(h.attrs), len(h.attrs)+r.NumAttrs()+1), h.missing
	copy(attrs, h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		var n int
		attrs, n = h.admit(attrs, a)
		missing += n
		return true
	})
	out.AddAttrs(latest(attrs)...)
	if missing > 0 {
		h.dropped.Add(int64(missing))
		out.AddAttrs(slog.Int("dropped_attrs", missing))
	}
	return h.next.Handle(ctx, out)
}

// WithAttrs checks the attributes once for all lines of the new handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		var n int
		next.attrs, n = h.admit(next.attrs, a)
		next.missing += n
	}
	return &next
}

// WithGroup returns h: groups are written flat, since the list is one of plain keys.
func (h *Handler) WithGroup(string) slog.Handler { return h }

// admit appends to list, which is the caller's own, what may be shown of a.
func (h *Handler) admit(list []slog.Attr, a slog.Attr) ([]slog.Attr, int) {
	v := resolve(a.Value)
	if v.Kind() == slog.KindGroup {
		missing := 0
		for _, inner := range v.Group() {
			var n int
			list, n = h.admit(list, inner)
			missing += n
		}
		return list, missing
	}
	kind, ok := h.keys[a.Key]
	if !ok || kind == Nothing {
		if a.Equal(slog.Attr{}) {
			return list, 0
		}
		return list, 1
	}
	shown := slog.Attr{Key: a.Key, Value: show(kind, v)}
	return append(list, shown), 0
}

// latest keeps the last attribute of each key, in the order of first appearance. It
// changes attrs. Lines have some twenty attributes: no map pays.
func latest(attrs []slog.Attr) []slog.Attr {
	out := attrs[:0]
next:
	for _, a := range attrs {
		for i := range out {
			if out[i].Key == a.Key {
				out[i] = a
				continue next
			}
		}
		out = append(out, a)
	}
	return out
}

// ExtraKeys merges lists of keys, for the place that wires packages together.
func ExtraKeys(lists ...map[string]Kind) map[string]Kind {
	all := map[string]Kind{}
	for _, l := range lists {
		maps.Copy(all, l)
	}
	return all
}
