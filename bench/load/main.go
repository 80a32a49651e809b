// Command load calls a running gate as a site's backend does, from many keep-alive
// connections at once, and prints how many calls were answered with what, and how fast.
// It can also play the provider (-upstream), hold idle connections (-idle) and slow
// clients that send a byte a second (-slow) beside the calls.
//
// It measures calls as a client sees them on this machine, the client's own work included:
// compare runs on one machine with each other, nothing else.
//
//	go run ./bench/load -upstream 127.0.0.1:18500 -ca upstream.pem &
//	go run ./bench/load -url http://127.0.0.1:18443/shop/api/payments/v1/payment_intents -key "$KEY" -conns 64 -for 20s
package main

import (
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type options struct {
	target, key, body string
	conns, idle, slow int
	length            time.Duration
	upstream, ca      string
	delay             time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.target, "url", "", "address of the operation at the gate")
	flag.StringVar(&o.key, "key", "", "site key (sallyport keys create)")
	flag.StringVar(&o.body, "body", "amount=2000&currency=eur", "form to send")
	flag.IntVar(&o.conns, "conns", 64, "connections that call, one call at a time each")
	flag.IntVar(&o.idle, "idle", 0, "connections that say nothing")
	flag.IntVar(&o.slow, "slow", 0, "connections that send a header byte a second")
	flag.DurationVar(&o.length, "for", 20*time.Second, "how long to call")
	flag.StringVar(&o.upstream, "upstream", "", "play the provider on this address instead of calling")
	flag.StringVar(&o.ca, "ca", "upstream.pem", "where to write the played provider's certificate")
	flag.DurationVar(&o.delay, "delay", 0, "how long the played provider takes")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

func run(o options) error {
	if o.upstream != "" {
		return provide(o)
	}
	u, err := url.Parse(o.target)
	if err != nil || u.Host == "" {
		return fmt.Errorf("-url %q is no address; write the operation's address at the gate", o.target)
	}
	end := time.Now().Add(o.length)
	var beside sync.WaitGroup
	var closed atomic.Int64
	for i := range o.idle {
		beside.Go(func() { hold(from(1, i), u.Host, "", end, &closed) })
	}
	for i := range o.slow {
		beside.Go(func() { hold(from(2, i), u.Host, "GET /healthz HTTP/1.1\r\nHost: gate\r\nX-Slow: ", end, &closed) })
	}
	results := make([]result, o.conns)
	var calling sync.WaitGroup
	for i := range results {
		calling.Go(func() { results[i] = call(o, from(3, i), end) })
	}
	calling.Wait()
	report(o, results)
	beside.Wait()
	if o.idle+o.slow > 0 {
		fmt.Printf("idle and slow connections: %d, of which the gate closed %d\n", o.idle+o.slow, closed.Load())
	}
	return nil
}

// from dials from a loopback address of its own network: the gate allows each network (/24) only
// so many connections. Each of the 250 networks of a group has every 250th connection.
func from(group, i int) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(group), byte(i%250), 1)}}
}

// result is what one connection saw.
type result struct {
	statuses map[string]int
	took     []time.Duration // of calls answered with 2xx
	refused  []time.Duration // of all other answers
}

func call(o options, dial *net.Dialer, end time.Time) result {
	client := &http.Client{Transport: &http.Transport{Proxy: nil, MaxConnsPerHost: 1, DialContext: dial.DialContext}, Timeout: 40 * time.Second}
	defer client.CloseIdleConnections()
	r := result{statuses: map[string]int{}}
	for time.Now().Before(end) {
		req, err := http.NewRequest(http.MethodPost, o.target, strings.NewReader(o.body))
		if err != nil {
			r.statuses[err.Error()]++
			return r
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+o.key)
		begin := time.Now()
		answer, err := client.Do(req)
		if err != nil {
			r.statuses["no answer"]++
			continue
		}
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		took := time.Since(begin)
		switch {
		case err != nil:
			r.statuses["cut answer"]++
		case answer.StatusCode < 300:
			r.statuses[answer.Status]++
			r.took = append(r.took, took)
		default:
			r.statuses[answer.Status]++
			r.refused = append(r.refused, took)
		}
	}
	return r
}

// hold keeps a connection until end, sending first and then a byte a second if there is one.
func hold(dial *net.Dialer, host, first string, end time.Time, closed *atomic.Int64) {
	c, err := dial.Dial("tcp", host)
	if err != nil {
		closed.Add(1)
		return
	}
	defer c.Close()
	if first == "" {
		_ = c.SetReadDeadline(end)
		if _, err := c.Read(make([]byte, 1)); err != nil && time.Now().Before(end) {
			closed.Add(1)
		}
		return
	}
	for next := first; time.Now().Before(end); next = "a" {
		if _, err := io.WriteString(c, next); err != nil {
			closed.Add(1)
			return
		}
		time.Sleep(time.Second)
	}
}

func report(o options, results []result) {
	statuses := map[string]int{}
	var took, refused []time.Duration
	for _, r := range results {
		for s, n := range r.statuses {
			statuses[s] += n
		}
		took, refused = append(took, r.took...), append(refused, r.refused...)
	}
	fmt.Printf("%d connections, %v: %.0f answered with 2xx a second\n", o.conns, o.length, float64(len(took))/o.length.Seconds())
	for s, n := range statuses {
		fmt.Printf("  %-28s %d\n", s, n)
	}
	fmt.Println("  2xx:", quantiles(took))
	fmt.Println("  other:", quantiles(refused))
}

func quantiles(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	slices.Sort(d)
	at := func(q float64) time.Duration { return d[int(q*float64(len(d)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, most %v", at(0.5), at(0.99), at(1))
}

// provide answers every call like the provider's endpoint for a new payment intent, over TLS.
func provide(o options) error {
	l, err := net.Listen("tcp", o.upstream)
	if err != nil {
		return err
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(o.delay)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"pi_3MtwBwLkdIwHu7ix28a3tqPa","object":"payment_intent","amount":2000,"currency":"eur","status":"requires_payment_method","client_secret":"pi_3MtwBwLkdIwHu7ix28a3tqPa_secret_YrKJUKribcBjcG8HVhfZluoGH","created":1680800504,"livemode":false,"metadata":{}}`)
	}))
	s.Listener.Close()
	s.Listener = l
	s.EnableHTTP2 = true
	s.StartTLS()
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(o.ca, data, 0o600); err != nil {
		return err
	}
	select {}
}
