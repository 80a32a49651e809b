// Command events measures how many events a second a gate takes in for good, with its deliveries
// running, and how long each takes to be acknowledged; beside it, in the same run, a program that
// does nothing but write each event to a file and fsync it before it answers.
//
// With -backlog it measures something else: that many events come in while their destination is
// disabled, then it is enabled, and the rate of deliveries and the gate's memory are printed for
// each tenth of the way.
//
// Senders, gate, destination and baseline share the machine: compare numbers of one run with each
// other, nothing else.
//
//	go build -o /tmp/sallyport ./cmd/sallyport
//	go run ./bench/events -gate /tmp/sallyport -conns 64 -for 10s
//	go run ./bench/events -gate /tmp/sallyport -backlog 1000000
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	hookSecret = "whsec_providerhooksecret00000000"
	siteSecret = "whsec_c2l0ZXNlY3JldDAwMDAwMDAwMDAwMDAwMDAwMDAw"
)

func main() {
	gate := flag.String("gate", "", "the program to measure (go build ./cmd/sallyport)")
	conns := flag.Int("conns", 64, "connections that send, one event at a time each")
	length := flag.Duration("for", 10*time.Second, "how long to send, to each of the two")
	rounds := flag.Int("rounds", 3, "how often both are measured, in turn")
	backlog := flag.Int("backlog", 0, "take in so many events first, and measure how they are delivered")
	flag.Parse()
	if err := run(*gate, *conns, *length, *rounds, *backlog); err != nil {
		log.Fatal(err)
	}
}

func run(gate string, conns int, length time.Duration, rounds, backlog int) error {
	if gate == "" {
		return errors.New("-gate is missing: write the path of a built sallyport")
	}
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	site := startSite(backlog > 0)
	defer site.server.Close()
	g, err := startGate(gate, dir, site.server.URL)
	if err != nil {
		return err
	}
	defer g.stop()
	if backlog > 0 {
		return drain(g, site, conns, backlog)
	}
	base, err := startBaseline(dir)
	if err != nil {
		return err
	}
	defer base.Close()
	for range rounds {
		delivered := site.count.Load()
		s := send(g.address, "/shop/hooks/pay", conns, length, -1)
		fmt.Printf("gate      %s; %.0f deliveries/s meanwhile, %d MiB\n", s, float64(site.count.Load()-delivered)/s.took.Seconds(), g.memory()>>20)
		fmt.Printf("baseline  %s\n", send(base.Listener.Addr().String(), "/", conns, length, -1))
	}
	return nil
}

// drain takes events in, then has them delivered.
func drain(g *gateProcess, site *site, conns, n int) error {
	first := send(g.address, "/shop/hooks/pay", 1, 0, 1) // its answer, 410, disables the destination
	for end := time.Now().Add(30 * time.Second); site.refused.Load() == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("the first event was not delivered (%s)", first)
		}
	}
	time.Sleep(time.Second)
	site.closed.Store(false)
	s := send(g.address, "/shop/hooks/pay", conns, 0, n)
	fmt.Printf("taken in  %s; %d MiB\n", s, g.memory()>>20)
	if site.count.Load() != 0 {
		return errors.New("the destination was not disabled")
	}
	if out, err := exec.Command(g.program, "-c", g.config, "hooks", "destinations", "--enable", "shop/pay/site").CombinedOutput(); err != nil {
		return fmt.Errorf("enable: %w: %s", err, out)
	}
	begin, had := time.Now(), int64(0)
	for tenth := 1; tenth <= 10; tenth++ {
		for site.count.Load() < int64(n)*int64(tenth)/10 {
			time.Sleep(5 * time.Millisecond)
			if had == 0 && site.count.Load() > 0 {
				begin, had = time.Now(), 1 // the gate looks every ten seconds who is enabled
			}
			if time.Since(begin) > time.Hour {
				return errors.New("the backlog does not drain")
			}
		}
		now := site.count.Load()
		fmt.Printf("%3d %%  %d delivered, %.0f/s, %d MiB\n", 10*tenth, now, float64(now-had)/time.Since(begin).Seconds(), g.memory()>>20)
		begin, had = time.Now(), now
	}
	return nil
}

// site is a destination that says yes, or, while closed, that it is gone.
type site struct {
	server         *httptest.Server
	count, refused atomic.Int64
	closed         atomic.Bool
}

func startSite(closed bool) *site {
	s := &site{}
	s.closed.Store(closed)
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if s.closed.Load() {
			w.WriteHeader(http.StatusGone)
			s.refused.Add(1)
			return
		}
		s.count.Add(1)
	}))
	return s
}

type gateProcess struct {
	program, config, address string
	cmd                      *exec.Cmd
}

func startGate(program, dir, site string) (*gateProcess, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gateProcess{program: program, address: free.Addr().String(), config: filepath.Join(dir, "sallyport.yaml")}
	free.Close()
	text := fmt.Sprintf(`version: 1
listen: {public: %q, tls: off}
store: "sqlite:./data/sallyport.db"
sites:
  shop:
    connections:
      pay:
        provider: stripe
        mode: mock
        webhooks: {secret: env:HOOK_SECRET, deliver: %q, private: true, sign_with: env:SITE_SECRET, at_once: 32}
`, g.address, site)
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	g.cmd = exec.Command(program, "-c", g.config, "run")
	g.cmd.Env = append(os.Environ(), "HOOK_SECRET="+hookSecret, "SITE_SECRET="+siteSecret)
	g.cmd.Stdout, g.cmd.Stderr = output, output
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", g.address); err == nil {
			return g, c.Close()
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(output.Name())
			g.stop()
			return nil, fmt.Errorf("the gate does not listen: %s", said)
		}
	}
}

func (g *gateProcess) stop() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
}

// memory is what the gate holds in memory, in bytes; 0 where that cannot be read.
func (g *gateProcess) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10
}

// startBaseline answers each request when its body is in a file and the file is synced.
func startBaseline(dir string) (*httptest.Server, error) {
	f, err := os.Create(filepath.Join(dir, "baseline"))
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			_, err = f.Write(body)
		}
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			http.Error(w, "not stored", http.StatusInternalServerError)
		}
	})), nil
}

type sent struct {
	took    time.Duration
	times   []time.Duration
	refused int
}

func (s sent) String() string {
	slices.Sort(s.times)
	at := func(q float64) time.Duration {
		if len(s.times) == 0 {
			return 0
		}
		return s.times[int(q*float64(len(s.times)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%.0f events/s, p50 %v, p99 %v, p99.9 %v, refused %d", float64(len(s.times))/s.took.Seconds(), at(0.5), at(0.99), at(0.999), s.refused)
}

// send posts events over conns connections for a time, or n of them.
func send(address, path string, conns int, length time.Duration, n int) sent {
	begin := time.Now()
	var next atomic.Int64
	parts := make([]sent, conns)
	var all sync.WaitGroup
	for i := range parts {
		all.Go(func() {
			c := &conn{address: address, from: i}
			for {
				number := next.Add(1)
				if n >= 0 && number > int64(n) || n < 0 && time.Since(begin) >= length {
					break
				}
				took, ok := c.post(path, fmt.Sprintf("evt_%d_%d", begin.UnixNano(), number))
				if !ok {
					parts[i].refused++
					continue
				}
				parts[i].times = append(parts[i].times, took)
			}
			c.close()
		})
	}
	all.Wait()
	total := sent{took: time.Since(begin)}
	for _, p := range parts {
		total.times, total.refused = append(total.times, p.times...), total.refused+p.refused
	}
	return total
}

// conn is one kept connection, written to by hand: a client's own work would take the gate's time.
type conn struct {
	address string
	from    int
	c       net.Conn
	r       *bufio.Reader
}

func (c *conn) close() {
	if c.c != nil {
		c.c.Close()
		c.c = nil
	}
}

func (c *conn) post(path, id string) (time.Duration, bool) {
	if c.c == nil {
		// A gate allows each network so many connections: every sender has its own.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 3, byte(c.from%250), 1)}}
		fresh, err := d.Dial("tcp", c.address)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			return 0, false
		}
		c.c, c.r = fresh, bufio.NewReader(fresh)
	}
	body := `{"id":"` + id + `","object":"event","api_version":"2025-09-30.clover","created":1760000000,"type":"payment_intent.succeeded","livemode":false,"pending_webhooks":1,"request":{"id":"req_1","idempotency_key":"k"},"data":{"object":{"id":"pi_3MtwBwLkdIwHu7ix28a3tqPa","object":"payment_intent","amount":2000,"amount_received":2000,"currency":"eur","status":"succeeded","payment_method":"pm_1","receipt_email":null,"metadata":{"order":"6735"},"created":1760000000,"livemode":false}}}`
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	_, _ = io.WriteString(mac, at+"."+body)
	request := "POST " + path + " HTTP/1.1\r\nHost: " + c.address + "\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) +
		"\r\nStripe-Signature: t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil)) + "\r\n\r\n" + body
	begin := time.Now()
	if _, err := io.WriteString(c.c, request); err != nil {
		c.close()
		return 0, false
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.close()
		return 0, false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return time.Since(begin), resp.StatusCode == http.StatusOK
}
