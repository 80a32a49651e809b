package e2e

import (
	"testing"
	"time"
)

// eventually waits up to 5 s for what another process has to notice.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("it never came true")
}
