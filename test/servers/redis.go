package servers

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a running Redis (or a program that speaks its protocol under that name).
type Redis struct {
	Addr     string // 127.0.0.1:PORT
	Port     int
	Password string
	Dir      string

	program string
	args    []string
	process *process
}

// StartRedis starts a server of the test's own, which ends with the test. Further
// arguments are Redis' own, such as "--maxmemory", "1mb".
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	r := startRedis(t, args)
	t.Cleanup(r.end)
	return r
}

func startRedis(t testing.TB, args []string) *Redis {
	t.Helper()
	program, ok := find("redis-server")
	if !ok {
		missing(t, "Redis", "redis-server")
	}
	r := &Redis{program: program, args: args, Password: rand.Text()}
	var err error
	if r.Dir, err = folder("redis"); err != nil {
		t.Fatal(err)
	}
	for attempt := 0; ; attempt++ {
		if r.Port, err = freePort(); err == nil {
			r.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(r.Port))
			err = r.Start()
		}
		if err == nil {
			return r
		}
		if attempt == 2 {
			r.end()
			t.Fatal(err)
		}
	}
}

// URL is the server's address without the password.
func (r *Redis) URL() string { return "redis://" + r.Addr }

// DSN is URL with the password.
func (r *Redis) DSN() string { return "redis://:" + r.Password + "@" + r.Addr }

// Socket is the path of its unix socket.
func (r *Redis) Socket() string { return filepath.Join(r.Dir, "redis.sock") }

// Log is the end of what the server printed.
func (r *Redis) Log() string { return tail(filepath.Join(r.Dir, "log")) }

// Start starts a server that was stopped, on the same port, and waits until it answers.
func (r *Redis) Start() error {
	args := append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(r.Port), "--dir", r.Dir, "--save", "", "--appendonly", "no",
		"--requirepass", r.Password, "--unixsocket", r.Socket(), "--unixsocketperm", "777", "--daemonize", "no"}, r.args...)
	cmd, err := command(r.Dir, filepath.Join(r.Dir, "log"), r.program, args...)
	if err != nil {
		return err
	}
	if r.process, err = spawn(cmd); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if r.process.ended() {
			return fmt.Errorf("Redis ended at once:\n%s", r.Log())
		}
		if err = r.ping(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("Redis does not answer: %w\n%s", err, r.Log())
}

// ping speaks just enough of the protocol to hear that the server is ready.
func (r *Redis) ping() error {
	c, err := net.DialTimeout("tcp", r.Addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := fmt.Fprintf(c, "AUTH %s\r\nPING\r\n", r.Password); err != nil {
		return err
	}
	in := bufio.NewReader(c)
	for _, want := range []string{"+OK", "+PONG"} {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) != want {
			return errors.New(strings.TrimSpace(line))
		}
	}
	return nil
}

// Stop ends the server in order. It kept nothing on disk.
func (r *Redis) Stop() { r.process.stop(syscall.SIGTERM) }

// Pause lets the server hang: connections stay, nothing answers. Resume ends that.
func (r *Redis) Pause() { _ = r.process.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (r *Redis) Resume() { _ = r.process.cmd.Process.Signal(syscall.SIGCONT) }

func (r *Redis) end() {
	if r.process != nil && !r.process.ended() {
		r.Resume()
		r.Stop()
	}
	if r.Dir != "" {
		_ = os.RemoveAll(r.Dir)
	}
}
