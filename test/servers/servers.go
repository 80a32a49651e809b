// Package servers starts the real PostgreSQL, the real Redis and the real Vault that tests talk to.
//
// Each server listens on loopback at a port that was free, keeps its data in a folder of
// its own that goes with it, and does not run as root: where the tests do, it runs as
// nobody. Only what was started here is ended, also when the test process dies. A program
// that is not installed fails the test in CI (CI=true) and skips it elsewhere; the message
// says what to install.
//
// A package whose tests share one server says so in TestMain:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Ending(m)) }
//
// and asks for it with SharedPostgres(t).Database(t) or SharedRedis(t). A test that stops,
// kills or restarts a server starts its own with StartPostgres or StartRedis.
package servers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// shared are the servers of this test process.
var shared struct {
	mu       sync.Mutex
	postgres *Postgres
	redis    *Redis
	vault    *Vault
}

// Runner is a *testing.M, as os.Exit and goleak.VerifyTestMain use it.
type Runner interface{ Run() int }

type ending struct{ tests Runner }

// Ending runs the tests and then ends the servers that they shared.
func Ending(m Runner) Runner { return ending{m} }

// Run implements Runner.
func (e ending) Run() int {
	code := e.tests.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.postgres != nil {
		shared.postgres.end()
	}
	if shared.redis != nil {
		shared.redis.end()
	}
	if shared.vault != nil {
		shared.vault.end()
	}
	return code
}

// SharedPostgres is the server that the tests of this process share, without fsync. It is
// started when it is first asked for; TestMain ends it (Ending).
func SharedPostgres(t testing.TB) *Postgres {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.postgres == nil {
		shared.postgres = startPostgres(t, PostgresOptions{})
	}
	return shared.postgres
}

// SharedRedis is the server that the tests of this process share; it keeps nothing on
// disk. Tests that use it at once keep apart by their keys.
func SharedRedis(t testing.TB) *Redis {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.redis == nil {
		shared.redis = startRedis(t, nil)
	}
	return shared.redis
}

// SharedVault is the server that the tests of this process share; it is told apart by
// mounts and names. A test that seals or stops one starts its own.
func SharedVault(t testing.TB) *Vault {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.vault == nil {
		shared.vault = startVault(t)
	}
	return shared.vault
}

// missing ends a test whose program is not installed.
func missing(t testing.TB, program, pkg string) {
	t.Helper()
	how := "install it: apt-get install " + pkg + " (or ./scripts/deps)"
	if strings.Contains(pkg, " ") {
		how = pkg
	}
	text := fmt.Sprintf("%s is not installed, and this test talks to the real one; %s", program, how)
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// find finds a program in PATH, or else in the folders of patterns, the newest first.
func find(program string, patterns ...string) (string, bool) {
	if path, err := exec.LookPath(program); err == nil {
		return path, true
	}
	for _, p := range patterns {
		all, _ := filepath.Glob(filepath.Join(p, program)) // the pattern is ours and well formed
		slices.Sort(all)
		for _, path := range slices.Backward(all) {
			if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
				return path, true
			}
		}
	}
	return "", false
}

// folder makes a folder that belongs to who runs the servers.
func folder(name string) (string, error) {
	dir, err := os.MkdirTemp("", "sp-"+name+"-") // short: a socket's path has at most 107 bytes
	if err != nil {
		return "", err
	}
	if who, ok := servant(); ok {
		if err := os.Chown(dir, int(who.uid), int(who.gid)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// freePort is a port of loopback that nobody listened on a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// tail is the end of a server's log, for messages.
func tail(file string) string {
	raw, _ := os.ReadFile(file) // no log, no tail
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
