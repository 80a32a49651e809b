package keystore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"go.uber.org/goleak"

	"sallyport/internal/secret"
	"sallyport/internal/secret/keystore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "CANARY-7f3c-value"

func value(s string) secret.Value { return secret.NewValue([]byte(s)) }
func ref(name string) secret.Ref  { return secret.Ref{Scheme: "keystore", Name: name} }

func make1(t *testing.T) (path string, key secret.Value, s *keystore.Store) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keystore.age")
	key, err := keystore.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err = keystore.Open(path, key)
	if err != nil {
		t.Fatal(err)
	}
	return path, key, s
}

func TestSetRotateRemove(t *testing.T) {
	path, key, _ := make1(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s, err := keystore.OpenAt(path, key, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := s.Read(ctx, ref("shop/stripe")); !errors.Is(err, secret.ErrNotFound) {
		t.Fatalf("nothing stored: %v", err)
	}
	if err := s.Stage(ctx, "shop/stripe", value("x")); !errors.Is(err, secret.ErrNotFound) {
		t.Fatalf("rotate nothing: %v", err)
	}
	if err := s.Set(ctx, "shop/stripe", value(canary)); err != nil {
		t.Fatal(err)
	}
	if err := s.Stage(ctx, "shop/stripe", value(canary)); err == nil {
		t.Fatal("rotated to the same value")
	}
	if err := s.Promote(ctx, "shop/stripe", time.Hour); !errors.Is(err, keystore.ErrNotStaged) {
		t.Fatalf("promoted nothing: %v", err)
	}
	again, err := keystore.OpenAt(path, key, func() time.Time { return now }) // another process
	if err != nil {
		t.Fatal(err)
	}
	both := func(first, second string) {
		t.Helper()
		v, err := again.Read(ctx, ref("shop/stripe"))
		o, err2 := again.Second(ctx, ref("shop/stripe"))
		if err != nil || err2 != nil || !v.Equal(value(first)) || string(o.Expose()) != second {
			t.Fatalf("%q and %q, %v %v; want %q and %q", v.Expose(), o.Expose(), err, err2, first, second)
		}
	}
	step := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	created := now
	both(canary, "")
	step(s.Stage(ctx, "shop/stripe", value("second")))
	both(canary, "second")
	now = now.Add(time.Hour)
	step(s.Promote(ctx, "shop/stripe", time.Hour))
	both("second", canary)
	list, err := again.List()
	if err != nil || len(list) != 1 || list[0] != (keystore.Entry{Name: "shop/stripe", Created: created, Rotated: now, Previous: true, PreviousUntil: now.Add(time.Hour)}) {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := s.Stage(ctx, "shop/stripe", value("third")); !errors.Is(err, keystore.ErrRotating) {
		t.Fatalf("staged over an overlap: %v", err)
	}
	if over, err := s.Expire(ctx); err != nil || len(over) != 0 {
		t.Fatalf("expired early: %v, %v", over, err)
	}
	now = now.Add(time.Hour)
	both("second", "") // it is over by itself
	if over, err := s.Expire(ctx); err != nil || len(over) != 1 {
		t.Fatalf("expired: %v, %v", over, err)
	}
	step(s.Stage(ctx, "shop/stripe", value("third")))
	step(s.Finish(ctx, "shop/stripe")) // it was not wanted
	both("second", "")
	step(s.Stage(ctx, "shop/stripe", value("third")))
	step(s.Promote(ctx, "shop/stripe", time.Hour))
	both("third", "second")
	step(again.Finish(ctx, "shop/stripe"))
	both("third", "")
	step(s.Stage(ctx, "shop/stripe", value("fourth")))
	step(s.Replace(ctx, "shop/stripe", value("fifth"))) // leaked: nothing else counts
	both("fifth", "")
	if err := again.Remove(ctx, "shop/stripe"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(ctx, ref("shop/stripe")); !errors.Is(err, secret.ErrNotFound) {
		t.Fatalf("removed by another: %v", err)
	}
	if err := s.Remove(ctx, "shop/stripe"); !errors.Is(err, secret.ErrNotFound) {
		t.Fatalf("remove nothing: %v", err)
	}
}

func TestKeys(t *testing.T) {
	path, key, _ := make1(t)
	if !bytes.HasPrefix(key.Expose(), []byte("AGE-SECRET-KEY-1")) {
		t.Fatal("the key is not an age identity")
	}
	if _, err := keystore.Create(path); !errors.Is(err, keystore.ErrExists) {
		t.Errorf("created over another: %v", err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]string{"another key": other.String(), "a passphrase": "CANARY correct horse battery"} {
		if _, err := keystore.Open(path, value(k)); !errors.Is(err, keystore.ErrWrongKey) || strings.Contains(err.Error(), k) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, k := range map[string]string{"empty": "", "blank": " \n", "short": "CANARY", "cut key": string(key.Expose()[:40]),
		"lower case": strings.ToLower(string(key.Expose()))} {
		if _, err := keystore.Open(path, value(k)); err == nil || errors.Is(err, keystore.ErrWrongKey) || k != "" && strings.Contains(err.Error(), k) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := keystore.Open(path, value(string(key.Expose())+"\n")); err != nil {
		t.Errorf("key from a file, with its newline: %v", err)
	}
}

func TestPassphraseOpensWithinASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	pass := value("correct horse battery staple")
	if err := keystore.CreateWith(path, pass); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	s, err := keystore.Open(path, pass)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("opened with a passphrase in %s", time.Since(begun))
	if err := s.Set(context.Background(), "shop/x", value(canary)); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Read(context.Background(), ref("shop/x")); err != nil || !v.Equal(value(canary)) {
		t.Fatal(err)
	}
	if _, err := keystore.Open(path, value("incorrect horse battery staple")); !errors.Is(err, keystore.ErrWrongKey) {
		t.Errorf("wrong passphrase: %v", err)
	}
}

func TestNamesAndValues(t *testing.T) {
	_, _, s := make1(t)
	ctx := context.Background()
	for _, name := range []string{"", "shop", "shop/", "/x", "shop/a/b", "Shop/x", "shop/x y", "../x", "shop/..", "shop/é",
		"shop/" + strings.Repeat("x", 65), "sk_live_CANARY", "gate/root-key", "gate/other"} {
		if err := s.Set(ctx, name, value("v")); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := s.Remove(ctx, "gate/root-key"); err == nil {
		t.Error("the root key can be removed")
	}
	if err := s.Set(ctx, "shop/x", secret.Value{}); err == nil {
		t.Error("an empty value was taken")
	}
	if err := s.Set(ctx, "shop/x", value(strings.Repeat("x", keystore.MaxValue+1))); err == nil {
		t.Error("a huge value was taken")
	}
	binary := string([]byte{0, 1, 255, '\n', '"'})
	if err := s.Set(ctx, "shop/x.y_z-1", value(binary)); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Read(ctx, ref("shop/x.y_z-1")); err != nil || string(v.Expose()) != binary {
		t.Errorf("%v", err)
	}
}

// TestDamage flips each byte of the file, and cuts it at each: never a value, and
// never an error with one.
func TestDamage(t *testing.T) {
	path, key, s := make1(t)
	if err := s.Set(context.Background(), "shop/x", value(canary)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keystore.Open(path, key); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", what, err)
		}
		if v, err := s.Read(context.Background(), ref("shop/x")); err == nil {
			t.Errorf("%s: an open store went on with %v", what, v)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 4
		try(fmt.Sprintf("flip at %d", i), b)
		if i%5 == 0 {
			try(fmt.Sprintf("cut at %d", i), whole[:i])
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(context.Background(), ref("shop/x")); err != nil {
		t.Errorf("put back: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.Open(path, key); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by the group: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.Open(path, key); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("gone: %v", err)
	}
}

// TestOtherContents opens files that decrypt but are no keystore of this version.
func TestOtherContents(t *testing.T) {
	path, key, _ := make1(t)
	id, err := age.ParseX25519Identity(string(key.Expose()))
	if err != nil {
		t.Fatal(err)
	}
	for name, plain := range map[string]string{
		"empty": "", "text": "CANARY", "another format": `{"format":"CANARY","version":1,"secrets":{}}`,
		"newer":         `{"format":"sallyport-keystore","version":2,"secrets":{}}`,
		"unknown field": `{"format":"sallyport-keystore","version":1,"secrets":{},"CANARY":1}`,
		"bad name":      `{"format":"sallyport-keystore","version":1,"secrets":{"CANARY":{"value":"eA==","created":"2026-01-01T00:00:00Z"}}}`,
		"no value":      `{"format":"sallyport-keystore","version":1,"secrets":{"a/b":{"value":"","created":"2026-01-01T00:00:00Z"}}}`,
	} {
		var b bytes.Buffer
		w, err := age.Encrypt(&b, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(plain)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keystore.Open(path, key); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManyWriters lets 8 stores on one file write and read at once: no change is lost.
func TestManyWriters(t *testing.T) {
	path, key, _ := make1(t)
	ctx := context.Background()
	var all sync.WaitGroup
	roots := make([]secret.Value, 8)
	for w := range 8 {
		s, err := keystore.Open(path, key)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for n := range 5 {
				if err := s.Set(ctx, fmt.Sprintf("site%d/s%d", w, n), value(canary)); err != nil {
					t.Error(err)
				}
				if _, err := s.Read(ctx, ref(fmt.Sprintf("site%d/s%d", w, n))); err != nil {
					t.Error(err)
				}
			}
			var err error
			if roots[w], err = s.RootKey(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s, err := keystore.Open(path, key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.List()
	if err != nil || len(list) != 41 {
		t.Fatalf("%d of 41 secrets are there, %v", len(list), err)
	}
	for _, r := range roots {
		if len(r.Expose()) != 32 || !r.Equal(roots[0]) {
			t.Fatal("two root keys were made")
		}
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLockIsWaitedForAndGivesUp(t *testing.T) {
	path, key, s := make1(t)
	hold, err := keystore.Open(path, key)
	if err != nil {
		t.Fatal(err)
	}
	release := keystore.HoldLock(t, path)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Set(ctx, "shop/x", value("v")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("set while another writes: %v", err)
	}
	if _, err := hold.List(); err != nil {
		t.Errorf("readers do not wait for writers: %v", err)
	}
	release()
	if err := s.Set(context.Background(), "shop/x", value("v")); err != nil {
		t.Error(err)
	}
}

// TestCanary looks for values in everything that is printed and written.
func TestCanary(t *testing.T) {
	path, key, s := make1(t)
	ctx := context.Background()
	if err := s.Set(ctx, "shop/x", value(canary)); err != nil {
		t.Fatal(err)
	}
	if err := s.Stage(ctx, "shop/x", value(canary+"2")); err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(ctx, "shop/x", time.Hour); err != nil {
		t.Fatal(err)
	}
	v, err := s.Read(ctx, ref("shop/x"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&out, nil))
	l.Info("x", "store", s, "value", v, "list", list, "key", key)
	for _, x := range []any{s, v, &v, list, key, []any{v, s}, map[string]any{"v": v}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", x, x, x, x, x, x, x)
		if b, err := json.Marshal(x); err == nil {
			out.Write(b)
		}
	}
	err = filepath.WalkDir(filepath.Dir(path), func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		out.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	secretKey := string(key.Expose())
	for _, c := range []string{canary, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary))[:20], secretKey, secretKey[20:40]} {
		if bytes.Contains(out.Bytes(), []byte(c)) || bytes.Contains(bytes.ToLower(out.Bytes()), []byte(strings.ToLower(c))) {
			t.Errorf("found %q", c)
		}
	}
}
