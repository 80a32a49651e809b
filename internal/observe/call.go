package observe

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/problem"
)

// Call is what one line tells about one call. All texts are names of our own
// (configuration, contract, checks), never what the caller sent.
type Call struct {
	Request    string
	Site       string
	Connection string
	Provider   string
	Operation  string
	Caller     string // browser, backend, operator, provider
	Mode       string
	Config     string // hash of the configuration in force
	Status     int    // that the caller got
	Code       problem.Code
	Outcome    problem.Outcome
	Attempts   int
	BytesIn    int64 // from the caller
	BytesOut   int64 // to the caller
	// Dropped counts response fields that the contract does not know.
	Dropped int
	// Limit names the limit that was reached, or is nearest.
	Limit     string
	Decisions []Decision // of the checks that did not simply allow
	Phases    []Phase
	// Observed holds the paths of faults that a check in observe mode found.
	Observed []string
	// Err is why, for the operator.
	Err error
}

// Decision is what one check said.
type Decision struct {
	Check    string `json:"check"`
	Decision string `json:"decision"`
	Reason   string `json:"reason,omitempty"`
}

// Phase is how long a part of the call took.
type Phase struct {
	Name string
	Took time.Duration
}

const (
	maxList = 20
	maxName = 128
)

// Log writes the line: level Info; Warn where the gate or the provider failed; Error where
// a provider sent the gate's credential back, which somebody has to look at.
func (c Call) Log(ctx context.Context, l *slog.Logger) {
	level := slog.LevelInfo
	switch {
	case c.Code == problem.UpstreamEcho:
		level = slog.LevelError
	case c.Status >= 500:
		level = slog.LevelWarn
	}
	if !l.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 24)
	for _, t := range []struct{ key, value string }{
		{"request", c.Request}, {"site", c.Site}, {"connection", c.Connection}, {"provider", c.Provider},
		{"operation", c.Operation}, {"caller", c.Caller}, {"mode", c.Mode}, {"config", c.Config},
		{"code", string(c.Code)}, {"outcome", string(c.Outcome)}, {"limit", c.Limit},
	} {
		if t.value != "" {
			attrs = append(attrs, slog.String(t.key, clean(t.value, maxName)))
		}
	}
	attrs = append(attrs, slog.Int("status", c.Status), slog.Int("attempts", c.Attempts),
		slog.Int64("bytes_in", c.BytesIn), slog.Int64("bytes_out", c.BytesOut), slog.Int("dropped", c.Dropped))
	if len(c.Decisions) > 0 {
		attrs = append(attrs, slog.Any("decisions", cleanDecisions(c.Decisions)))
	}
	if len(c.Phases) > 0 {
		attrs = append(attrs, slog.Any("phases", cut(phases(c.Phases))))
	}
	if len(c.Observed) > 0 {
		attrs = append(attrs, slog.Any("observed", cleanPaths(c.Observed)))
	}
	if c.Err != nil {
		attrs = append(attrs, slog.Any("error", c.Err))
	}
	l.LogAttrs(ctx, level, "call", attrs...)
}

// The types that may stand in a line as they are; they are made here only.
type (
	decisions []Decision
	phases    []Phase
	names     []string
)

// MarshalJSON writes an object of phase name to microseconds, in order.
func (p phases) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, one := range p {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(clean(one.Name, maxName))
		if err != nil {
			return nil, err
		}
		b = append(append(b, name...), ':')
		b = strconv.AppendInt(b, one.Took.Microseconds(), 10)
	}
	return append(b, '}'), nil
}

func cut[S ~[]E, E any](s S) S { return s[:min(len(s), maxList)] }

func cleanDecisions(in []Decision) decisions {
	out := make(decisions, 0, min(len(in), maxList))
	for _, d := range cut(in) {
		out = append(out, Decision{Check: clean(d.Check, maxName), Decision: clean(d.Decision, maxName), Reason: clean(d.Reason, 2*maxName)})
	}
	return out
}

// cleanPaths shows a parameter path only if it is spelled as contracts spell them: a
// caller can choose the names of unknown fields, and put anything there.
func cleanPaths(in []string) names {
	out := make(names, 0, min(len(in), maxList))
	for _, p := range cut(in) {
		if !isPath(p) {
			p = "[not a name of the contract]"
		}
		out = append(out, p)
	}
	return out
}

func isPath(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	digits := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			// A telephone or card number is a name, too, if one lets it be.
			if digits++; digits > 6 {
				return false
			}
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("_.[]-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// Panicked tells about a recovered panic: the type of its value and where it was,
// never the value, which can hold what a visitor sent.
func Panicked(p any) []slog.Attr {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var stack names
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			stack = append(stack, f.Function+":"+strconv.Itoa(f.Line))
		}
		if !more || len(stack) >= maxList {
			break
		}
	}
	kind := "nil"
	if p != nil {
		kind = typeName(p)
	}
	return []slog.Attr{slog.String("panic", kind), slog.Any("stack", stack)}
}
