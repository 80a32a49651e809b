package observe

import (
	"fmt"
	"log"
	"log/slog"

	"k8s.io/klog/v2"
)

// CaptureLibraries sends what libraries log on their own (the standard log package,
// slog's default, klog below the Merkle log) through l, so that every line is JSON and
// passes the list. It changes the whole process and is for the assembly to call, once,
// before anything else runs.
func CaptureLibraries(l *slog.Logger) {
	slog.SetDefault(l.With("component", "library"))
	log.SetFlags(0)
	klog.SetSlogLogger(l.With("component", "library"))
}

func typeName(p any) string { return fmt.Sprintf("%T", p) }
