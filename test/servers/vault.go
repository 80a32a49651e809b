package servers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/outbound"
)

// Vault is a running HashiCorp Vault (test/vaultserver): real, in memory, on loopback,
// initialised and unsealed. It runs as whoever runs the tests, because its program lies in
// their folder.
type Vault struct {
	URL string // http://127.0.0.1:PORT
	// Root is its root token, Unseal its only unseal key.
	Root, Unseal string
	Dir          string

	process *process
	client  *http.Client
}

// StartVault starts a server of the test's own, which ends with the test.
func StartVault(t testing.TB) *Vault {
	t.Helper()
	v := startVault(t)
	t.Cleanup(v.end)
	return v
}

func startVault(t testing.TB) *Vault {
	t.Helper()
	program, err := vaultProgram()
	if err != nil {
		missing(t, "The Vault server of test/vaultserver", "./scripts/deps builds it: "+err.Error())
	}
	v := &Vault{}
	transport := outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure}).Transport(nil)
	v.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	if v.Dir, err = folder("vault"); err != nil {
		t.Fatal(err)
	}
	if err := v.start(program); err != nil {
		log := v.Log()
		v.end()
		t.Fatalf("start Vault: %v\n%s", err, log)
	}
	return v
}

// vaultProgram is where scripts/deps puts the program: its name tells what it was made of.
func vaultProgram() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(here))
	hash := sha256.New()
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		raw, err := os.ReadFile(filepath.Join(root, "vaultserver", name))
		if err != nil {
			return "", err
		}
		hash.Write(raw)
	}
	path := filepath.Join(root, ".cache", "vaultserver-"+hex.EncodeToString(hash.Sum(nil))[:16])
	_, err := os.Stat(path)
	return path, err
}

func (v *Vault) start(program string) error {
	cmd, err := command(v.Dir, v.log(), program)
	if err != nil {
		return err
	}
	cmd.SysProcAttr.Credential = nil
	if v.process, err = spawn(cmd); err != nil {
		return err
	}
	for deadline := time.Now().Add(60 * time.Second); v.URL == ""; time.Sleep(20 * time.Millisecond) {
		raw, _ := os.ReadFile(v.log())
		if line, _, whole := strings.Cut(string(raw), "\n"); whole && strings.HasPrefix(line, "127.0.0.1:") {
			v.URL = "http://" + line
		}
		if v.process.ended() || time.Now().After(deadline) {
			return errors.New("it does not come up")
		}
	}
	var made struct {
		Keys []string `json:"keys_base64"`
		Root string   `json:"root_token"`
	}
	if err := v.call("PUT", "sys/init", "", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &made); err != nil {
		return err
	}
	v.Root, v.Unseal = made.Root, made.Keys[0]
	return v.call("PUT", "sys/unseal", "", map[string]any{"key": v.Unseal}, nil)
}

func (v *Vault) log() string { return filepath.Join(v.Dir, "log") }

// Log is the end of what the server printed.
func (v *Vault) Log() string { return tail(v.log()) }

// Pause lets the server hang: connections stay, nothing answers. Resume ends that.
func (v *Vault) Pause() { _ = v.process.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (v *Vault) Resume() { _ = v.process.cmd.Process.Signal(syscall.SIGCONT) }

func (v *Vault) end() {
	if v.process != nil && !v.process.ended() {
		v.Resume()
		v.process.stop(syscall.SIGTERM)
	}
	v.client.CloseIdleConnections()
	_ = os.RemoveAll(v.Dir)
}

// Seal and Open are `vault operator seal` and `unseal`.
func (v *Vault) Seal(t testing.TB) { t.Helper(); v.Do(t, "PUT", "sys/seal", map[string]any{}) }

// Open unseals the server and waits until it serves again.
func (v *Vault) Open(t testing.TB) {
	t.Helper()
	if err := v.call("PUT", "sys/unseal", "", map[string]any{"key": v.Unseal}, nil); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := v.call("GET", "auth/token/lookup-self", v.Root, nil, nil)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Vault does not come back: %v", err)
		}
	}
}

// Do is one request as root; what comes back under "data", "auth" and so on is given as it is.
func (v *Vault) Do(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	var out map[string]any
	if err := v.call(method, path, v.Root, body, &out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return out
}

// Try is Do where Vault may refuse.
func (v *Vault) Try(method, path string, body any) (out map[string]any, err error) {
	err = v.call(method, path, v.Root, body, &out)
	return out, err
}

// KV mounts a KV engine of a version at a path and waits until it takes secrets.
func (v *Vault) KV(t testing.TB, path, version string) {
	t.Helper()
	v.Do(t, "POST", "sys/mounts/"+path, map[string]any{"type": "kv", "options": map[string]string{"version": version}})
	if version == "1" {
		return
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := v.call("POST", path+"/data/ready", v.Root, map[string]any{"data": map[string]any{"a": "b"}}, nil)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the KV engine does not come up: %v", err)
		}
	}
}

// Put stores a KV version 2 secret.
func (v *Vault) Put(t testing.TB, mount, path string, fields map[string]any) {
	t.Helper()
	v.Do(t, "POST", mount+"/data/"+path, map[string]any{"data": fields})
}

// Policy stores a policy.
func (v *Vault) Policy(t testing.TB, name, rules string) {
	t.Helper()
	v.Do(t, "PUT", "sys/policies/acl/"+name, map[string]any{"policy": rules})
}

// Token makes a token; options are those of auth/token/create.
func (v *Vault) Token(t testing.TB, options map[string]any) string {
	t.Helper()
	return v.Do(t, "POST", "auth/token/create", options)["auth"].(map[string]any)["client_token"].(string)
}

// AppRole makes a role and returns its role id; the auth method is enabled if it is not.
func (v *Vault) AppRole(t testing.TB, name string, options map[string]any) string {
	t.Helper()
	_ = v.call("POST", "sys/auth/approle", v.Root, map[string]any{"type": "approle"}, nil) // it may be there
	v.Do(t, "POST", "auth/approle/role/"+name, options)
	return v.Do(t, "GET", "auth/approle/role/"+name+"/role-id", nil)["data"].(map[string]any)["role_id"].(string)
}

// SecretID makes a secret id of a role.
func (v *Vault) SecretID(t testing.TB, role string) string {
	t.Helper()
	return v.Do(t, "POST", "auth/approle/role/"+role+"/secret-id", map[string]any{})["data"].(map[string]any)["secret_id"].(string)
}

func (v *Vault) call(method, path, token string, body, into any) error {
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, v.URL+"/v1/"+path, in)
	if err != nil {
		return err
	}
	r.Header.Set("X-Vault-Token", token)
	resp, err := v.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("status %d: %s", resp.StatusCode, raw)
	}
	if into == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, into)
}
