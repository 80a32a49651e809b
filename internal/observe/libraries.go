package observe

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"

	"k8s.io/klog/v2"
)

// CaptureLibraries sends what libraries log on their own (the standard log package,
// slog's default, klog below the Merkle log) through l, so that every line is JSON and
// passes the list. It changes the whole process and is for the assembly to call, once,
// before anything else runs.
//
// What a library tells at level Info about its own doings is for who debugs it, and counts
// as Debug here; klog hands its warnings over as such too, and what fails of the Merkle log
// the audit log tells itself. Lines of the standard log package have no level and are mostly of things
// gone wrong: they are warnings.
func CaptureLibraries(l *slog.Logger) {
	library := slog.New(demoted{l.With("component", "library").Handler()})
	slog.SetDefault(library)
	slog.SetLogLoggerLevel(slog.LevelWarn)
	log.SetFlags(0)
	klog.SetSlogLogger(library)
}

// demoted writes Info as Debug.
type demoted struct{ slog.Handler }

func demote(level slog.Level) slog.Level {
	if level >= slog.LevelInfo && level < slog.LevelWarn {
		return slog.LevelDebug
	}
	return level
}

// Enabled implements slog.Handler.
func (d demoted) Enabled(ctx context.Context, level slog.Level) bool {
	return d.Handler.Enabled(ctx, demote(level))
}

// talker logs what strangers wrote into their requests, at level Warn, and only to slog's
// default. What matters of it the OpenID provider tells itself.
const talker = "github.com/zitadel/oidc/"

// Handle implements slog.Handler.
func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	if s := r.Source(); s != nil && strings.HasPrefix(s.Function, talker) {
		return nil
	}
	r.Level = demote(r.Level)
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoted{d.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (d demoted) WithGroup(name string) slog.Handler { return demoted{d.Handler.WithGroup(name)} }

func typeName(p any) string { return fmt.Sprintf("%T", p) }
