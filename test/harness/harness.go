// Package harness starts the real binary, and the things it is tested against: stripe-mock
// (the provider's own mock, over TLS), upstreams that misbehave, and certificates made
// for the test. Everything listens on loopback and ends with the test.
package harness

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Binary builds the real binary once per test process and returns its path.
func Binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "sallyport-test-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "sallyport")
		cmd := exec.Command("go", "build", "-o", built.path, "sallyport/cmd/sallyport")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

var built = &struct {
	once sync.Once
	path string
	err  error
}{}

// Gate is a running gate with its files.
type Gate struct {
	Dir    string // holds sallyport.yaml and the data folder
	URL    string // of the public listener
	Config string

	t      testing.TB
	client *http.Client
	scheme string
	env    []string
	cmd    *exec.Cmd
	log    *logBuffer
	done   chan struct{}
	mu     sync.Mutex
	seen   []string // everything that commands and calls printed
}

// logBuffer keeps what the gate prints and finds lines in it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was printed so far.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// OwnCertificate and OwnKey are the files of a gate that serves https.
const (
	OwnCertificate = "gate.pem"
	OwnKey         = "gate.key"
)

// New writes a configuration and its files into a fresh folder. env are extra
// variables for the gate, NAME=value.
func New(t testing.TB, config string, files map[string][]byte, env ...string) *Gate {
	t.Helper()
	g := &Gate{Dir: t.TempDir(), t: t, log: &logBuffer{}, env: env, scheme: "http"}
	g.client = &http.Client{Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 200},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if own := files[OwnCertificate]; own != nil {
		g.scheme = "https"
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(own)
		g.client.Transport = &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 200, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	}
	t.Cleanup(g.client.CloseIdleConnections)
	g.Config = filepath.Join(g.Dir, "sallyport.yaml")
	for name, data := range files {
		g.write(name, data)
	}
	g.write("sallyport.yaml", []byte(config))
	return g
}

func (g *Gate) write(name string, data []byte) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.Dir, name), data, 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// Rewrite changes the configuration file.
func (g *Gate) Rewrite(config string) { g.t.Helper(); g.write("sallyport.yaml", []byte(config)) }

var listening = regexp.MustCompile(`"listen":"([^"]+)"`)

// Start runs `sallyport run` and waits until it answers /readyz.
func (g *Gate) Start() *Gate {
	g.t.Helper()
	g.cmd = exec.Command(Binary(g.t), "run", "-c", g.Config)
	g.cmd.Dir, g.cmd.Env = g.Dir, append(os.Environ(), g.env...)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.done = make(chan struct{})
	go func() { _ = g.cmd.Wait(); close(g.done) }()
	g.t.Cleanup(g.Stop)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if all := listening.FindAllStringSubmatch(g.log.String(), -1); all != nil {
			g.URL = g.scheme + "://" + all[len(all)-1][1]              // a gate that was started before said so too
			if r, err := g.client.Get(g.URL + "/readyz"); err == nil { //nolint:noctx // a probe of our own process
				r.Body.Close()
				if r.StatusCode == http.StatusOK {
					return g
				}
			}
		}
		select {
		case <-g.done:
			g.t.Fatalf("the gate ended at once:\n%s", g.log)
		default:
		}
	}
	g.t.Fatalf("the gate is not ready:\n%s", g.log)
	return nil
}

// Stop asks the gate to end, and kills it when it does not within 15 s.
func (g *Gate) Stop() {
	if g.cmd == nil || g.cmd.Process == nil {
		return
	}
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.done:
	case <-time.After(15 * time.Second):
		_ = g.cmd.Process.Kill()
		<-g.done
		g.t.Errorf("the gate did not end on SIGTERM:\n%s", g.log)
	}
	g.cmd = nil
	if i := strings.Index(g.log.String(), `"dropped_attrs"`); i >= 0 {
		g.t.Errorf("a log line has attributes that are not in the list of observe:\n%s", g.log)
	}
}

// Kill ends the gate as a power cut would: it gets no chance to tidy up.
func (g *Gate) Kill() {
	g.t.Helper()
	if err := g.cmd.Process.Kill(); err != nil {
		g.t.Fatal(err)
	}
	<-g.done
	g.cmd = nil
}

// Client is what Do uses; it trusts the gate's own certificate.
func (g *Gate) Client() *http.Client { return g.client }

// Signal sends a signal to the gate.
func (g *Gate) Signal(s os.Signal) { _ = g.cmd.Process.Signal(s) }

// Pid is the gate's process id.
func (g *Gate) Pid() int { return g.cmd.Process.Pid }

// Log is what the gate printed so far.
func (g *Gate) Log() string { return g.log.String() }

// WaitLog waits until the gate has printed text.
func (g *Gate) WaitLog(text string) {
	g.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(g.log.String(), text) {
			return
		}
	}
	g.t.Fatalf("the log never said %q:\n%s", text, g.log)
}

// Run runs another command of the binary on the same configuration and returns what it
// printed; input is its standard input.
func (g *Gate) Run(input string, args ...string) (string, error) {
	g.t.Helper()
	cmd := exec.Command(Binary(g.t), append(args, "-c", g.Config)...)
	cmd.Dir, cmd.Env, cmd.Stdin = g.Dir, append(os.Environ(), g.env...), strings.NewReader(input)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	g.Saw(stdout.String() + stderr.String())
	if err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// MustRun is Run for a command that has to succeed.
func (g *Gate) MustRun(input string, args ...string) string {
	g.t.Helper()
	out, err := g.Run(input, args...)
	if err != nil {
		g.t.Fatalf("sallyport %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Key creates a site key and returns it.
func (g *Gate) Key(site string, args ...string) string {
	g.t.Helper()
	out := g.MustRun("", append([]string{"keys", "create", site, "--json"}, args...)...)
	m := regexp.MustCompile(`"key":\s*"([^"]+)"`).FindStringSubmatch(out)
	if m == nil {
		g.t.Fatalf("keys create printed no key:\n%s", out)
	}
	return m[1]
}

// Saw remembers output that the canary search looks through.
func (g *Gate) Saw(s string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, s)
}

// Seen is everything that was remembered, with the log.
func (g *Gate) Seen() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.seen, "\n") + g.log.String()
}

// Reply is an answer of the gate.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Do makes a request to the gate; every answer is remembered for the canary search.
func (g *Gate) Do(method, path, body string, header map[string]string) Reply {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	target := path
	if !strings.HasPrefix(path, "http") {
		target = g.URL + path
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	r.Host = cmp.Or(header["Host"], r.Host)
	answer, err := g.client.Do(r)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	g.Saw(fmt.Sprintf("%v\n%s", answer.Header, raw))
	return Reply{Status: answer.StatusCode, Header: answer.Header, Body: string(raw)}
}

// Session starts a visit of a site below /SITE/ from an origin, and has it vouched for as
// client.js does: with a proof of work.
func (g *Gate) Session(site, origin string) string {
	g.t.Helper()
	return g.Raise(site, origin, g.Unvouched(site, origin))
}

// Unvouched starts a visit for which nobody vouches.
func (g *Gate) Unvouched(site, origin string) string {
	g.t.Helper()
	return g.token("/"+site+"/session", map[string]string{"Origin": origin})
}

// Raise solves the challenge of a visit's site and gives its new token.
func (g *Gate) Raise(site, origin, token string) string {
	g.t.Helper()
	return g.RaiseAt("/"+site+"/session", map[string]string{"Origin": origin, "Authorization": "Bearer " + token})
}

// RaiseAt is Raise for a path and headers of any site; header has Origin and Authorization.
func (g *Gate) RaiseAt(path string, header map[string]string) string {
	g.t.Helper()
	var shown struct{ Challenge Work }
	if r := g.Do("GET", path, "", header); r.Status != 200 || json.Unmarshal([]byte(r.Body), &shown) != nil {
		g.t.Fatalf("GET session: %d %s", r.Status, r.Body)
	}
	header = maps.Clone(header)
	header["Sallyport-Proof"] = "work " + shown.Challenge.Solve(g.t)
	return g.token(path, header)
}

func (g *Gate) token(path string, header map[string]string) string {
	g.t.Helper()
	r := g.Do("POST", path, "", header)
	m := regexp.MustCompile(`"token":\s*"([^"]+)"`).FindStringSubmatch(r.Body)
	if r.Status >= 300 || m == nil {
		g.t.Fatalf("POST session: %d %s", r.Status, r.Body)
	}
	return m[1]
}

// Work is a proof of work as the gate asks for it.
type Work struct {
	Algorithm string `json:"algorithm"`
	Challenge string `json:"challenge"`
	Salt      string `json:"salt"`
	MaxNumber int64  `json:"maxnumber"`
	Signature string `json:"signature"`
}

// Solve finds the number and writes the proof.
func (w Work) Solve(t testing.TB) string {
	t.Helper()
	for n := int64(0); n <= w.MaxNumber; n++ {
		sum := sha256.Sum256(strconv.AppendInt([]byte(w.Salt), n, 10))
		if hex.EncodeToString(sum[:]) != w.Challenge {
			continue
		}
		raw, err := json.Marshal(map[string]any{"algorithm": w.Algorithm, "challenge": w.Challenge, "number": n, "salt": w.Salt, "signature": w.Signature})
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	t.Fatalf("no number from 0 to %d solves %+v", w.MaxNumber, w)
	return ""
}

// FreeAddress is a loopback address that nothing listened on a moment ago, with a port
// below those that the kernel gives to outgoing connections: one of these could take it
// before the gate does.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port between 20000 and 32000 is free")
	return ""
}
