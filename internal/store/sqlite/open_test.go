package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/store/sqlite"
)

func repeatKey(name string) egress.RepeatKey {
	k := egress.RepeatKey{Site: "shop", Connection: "payments", Operation: "create-refund"}
	copy(k.KeyHash[:], name)
	return k
}

func TestRefusesWhatOthersCanReach(t *testing.T) {
	cases := []struct {
		name string
		make func(t *testing.T, file string)
		want string
	}{
		{"file readable by the group", func(t *testing.T, file string) {
			must(t, os.Mkdir(filepath.Dir(file), 0o700))
			must(t, os.WriteFile(file, nil, 0o600))
			must(t, os.Chmod(file, 0o640))
		}, "chmod 600"},
		{"folder writable by others", func(t *testing.T, file string) {
			must(t, os.Mkdir(filepath.Dir(file), 0o700))
			must(t, os.Chmod(filepath.Dir(file), 0o777))
		}, "chmod 700"},
		{"a folder in its place", func(t *testing.T, file string) { must(t, os.MkdirAll(file, 0o700)) }, "not a file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := path(t)
			c.make(t, file)
			s, err := sqlite.Open(t.Context(), sqlite.Options{Path: file})
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open: %v; want an error with %q", err, c.want)
			}
		})
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Options{}); err == nil {
		t.Error("an empty path was opened")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRefusesANewerSchemaAndAForeignFile(t *testing.T) {
	file := path(t)
	must(t, open(t, file, sqlite.Tool).Close())
	db, err := sql.Open("sqlite", file)
	must(t, err)
	_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	must(t, errors.Join(err, db.Close()))
	if _, err := sqlite.Open(t.Context(), sqlite.Options{Path: file}); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("a newer schema: %v", err)
	}
	foreign := path(t)
	must(t, os.Mkdir(filepath.Dir(foreign), 0o700))
	must(t, os.WriteFile(foreign, []byte(strings.Repeat("this is not a database ", 500)), 0o600))
	if _, err := sqlite.Open(t.Context(), sqlite.Options{Path: foreign}); err == nil {
		t.Error("a file that is no database was opened")
	}
}

func TestPathsWithOddCharacters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a b?c#d%20é", "s%3f.db")
	s := open(t, file, sqlite.Serve)
	must(t, s.Check(t.Context()))
	if _, err := os.Stat(file + "-wal"); err != nil {
		t.Errorf("the store is not where it was asked for: %v", err)
	}
}

func TestOneServes(t *testing.T) {
	file := path(t)
	first := open(t, file, sqlite.Serve)
	for range 2 { // the refused one must not take the lock away with it
		if s, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, Role: sqlite.Serve}); !errors.Is(err, sqlite.ErrServed) {
			t.Fatalf("a second serving store: %v, %v; want ErrServed", s, err)
		}
	}
	tool := open(t, file, sqlite.Tool)
	must(t, tool.Freeze(t.Context(), egress.Freeze{Site: "shop", At: time.Now()}))
	if _, _, err := tool.BeginRepeat(t.Context(), repeatKey("a"), egress.Repeat{ExpiresAt: time.Now()}, time.Now()); err == nil {
		t.Error("a tool began a call")
	}
	must(t, first.Close())
	must(t, open(t, file, sqlite.Serve).Close())
}

func TestOpenTogether(t *testing.T) {
	file := path(t)
	errs := make(chan error)
	for range 8 {
		go func() {
			s, err := sqlite.Open(context.Background(), sqlite.Options{Path: file})
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// childEnv makes the test binary act as another process on the store.
const childEnv = "SALLYPORT_TEST_CHILD_STORE"

// TestChild is not a test of its own: TestKilledProcess runs it as the process that dies.
func TestChild(t *testing.T) {
	file := os.Getenv(childEnv)
	if file == "" {
		return
	}
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, Role: sqlite.Serve})
	must(t, err)
	now := time.Now()
	for i := 0; ; i++ {
		k := repeatKey(fmt.Sprint(i))
		first, _, err := s.BeginRepeat(t.Context(), k, egress.Repeat{ExpiresAt: now.Add(time.Hour)}, now)
		if err != nil || !first {
			t.Fatalf("call %d: first=%v, %v", i, first, err)
		}
		if i%2 == 0 {
			must(t, s.FinishRepeat(t.Context(), k, []byte("answer"), now.Add(time.Hour)))
		}
		fmt.Println("acknowledged", i)
	}
}

// TestKilledProcess kills a process in the middle of its writes: everything it was told
// is stored must be there, its open calls are unknown, and the lock is free.
func TestKilledProcess(t *testing.T) {
	rounds := 3
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		rounds = 50
	}
	file, acknowledged := path(t), 0
	for round := range rounds {
		_ = os.Remove(file)
		_ = os.Remove(file + "-wal")
		acknowledged = runAndKill(t, file, 20+30*(round%5))
		s := open(t, file, sqlite.Serve)
		for i := range acknowledged + 1 {
			want := egress.RepeatUnknown
			if i%2 == 0 {
				want = egress.RepeatDone
			}
			first, known, err := s.BeginRepeat(t.Context(), repeatKey(fmt.Sprint(i)), egress.Repeat{ExpiresAt: time.Now()}, time.Now())
			if err != nil || first || known.State != want {
				t.Fatalf("round %d, call %d of %d: first=%v, state %d, %v; want state %d", round, i, acknowledged, first, known.State, err, want)
			}
		}
		must(t, s.Close())
	}
}

// runAndKill starts the child and kills it after about n acknowledgements; it returns
// the number of the last one.
func runAndKill(t *testing.T, file string, n int) int {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childEnv+"="+file)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines, last, text := bufio.NewScanner(out), -1, ""
	for lines.Scan() {
		text += lines.Text() + "\n"
		if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &last); err == nil && last == n {
			must(t, child.Process.Kill())
		}
	}
	_, _ = io.Copy(io.Discard, out)
	_ = child.Wait() // it was killed
	if last < n {
		t.Fatalf("the child stopped at %d of %d:\n%s", last, n, text)
	}
	return last
}
