package browser

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
)

// TestDemoComesAndGoes: the links are there in time, and after Ctrl-C nothing is.
func TestDemoComesAndGoes(t *testing.T) {
	d := harness.StartDemo(t)
	t.Logf("ready after %v", d.Ready)
	if d.Ready > 5*time.Second {
		t.Errorf("ready after %v, want at most 5 s", d.Ready)
	}
	file, err := os.ReadFile(d.Config)
	if err != nil {
		t.Fatal(err)
	}
	addresses := regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`).FindAllString(d.Output()+string(file), -1)
	if len(addresses) < 6 { // shop, gate, four providers
		t.Fatalf("the demo names %d addresses: %v", len(addresses), addresses)
	}
	for _, a := range addresses {
		if !answers(a) {
			t.Errorf("nothing answers at %s", a)
		}
	}
	for _, key := range d.Keys() {
		if strings.Contains(d.Output(), key) || strings.Contains(string(file), key) {
			t.Error("a key stands in the output or in the gate's file")
		}
	}
	if code := d.Stop(); code != 0 {
		t.Errorf("exit code %d after SIGINT", code)
	}
	if d.Err != "" {
		t.Errorf("standard error is not empty:\n%s", d.Err)
	}
	if _, err := os.Stat(filepath.Dir(d.Config)); !os.IsNotExist(err) {
		t.Errorf("the demo's folder is still there: %v", err)
	}
	for _, a := range addresses {
		if answers(a) {
			t.Errorf("something still answers at %s", a)
		}
	}
}

func answers(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
