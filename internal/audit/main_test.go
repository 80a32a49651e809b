package audit

import (
	"flag"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"
	"k8s.io/klog/v2"
)

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	if dir := os.Getenv("AUDIT_TEST_CHILD"); dir != "" {
		child(dir)
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// scaled gives the short form's count, or the long one's under SALLYPORT_TORTURE.
func scaled(short, long int) int {
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		return long
	}
	return short
}
