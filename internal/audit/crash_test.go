package audit

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/problem"
)

// child is the process that TestKill9 kills: it prints "sent N" for each intent that
// was acknowledged, as a gate would send a call.
func child(dir string) {
	o := testOptions()
	o.SegmentBytes = 32 << 10
	l, err := Open(dir, o)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(3)
	}
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	for range 8 {
		go func() {
			for {
				id, err := l.Intent(context.Background(), anIntent(1))
				if err != nil {
					fmt.Println("error", err)
					os.Exit(4)
				}
				mu.Lock()
				fmt.Fprintf(out, "sent %d\n", id)
				out.Flush()
				mu.Unlock()
				_ = l.Outcome(context.Background(), id, Outcome{Result: problem.Performed, Status: 200})
			}
		}()
	}
	select {}
}

// TestKill9 kills a writing process at random moments: every acknowledged intent is
// in the log afterwards, once, and no kill leaves a log that does not verify.
func TestKill9(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	rounds := scaled(10, 200)
	sent := map[ID]bool{}
	for round := range rounds {
		for _, id := range runAndKill(t, dir, time.Duration(10+rand.IntN(100))*time.Millisecond) {
			if sent[id] {
				t.Fatalf("round %d: number %d was given twice", round, id)
			}
			sent[id] = true
		}
		if round >= 10 && round%20 != 0 { // the log grows with each round
			continue
		}
		if r := mustVerify(t, dir, Anchor{}); !r.OK() {
			t.Fatalf("round %d: after kill -9: %+v", round, r.Faults)
		}
	}
	mustClose(t, mustOpen(t, dir, testOptions()))
	r := mustVerify(t, dir, Anchor{})
	if !r.OK() || r.OpenCount != 0 || r.Intents != r.Outcomes {
		t.Fatalf("after recovery: %+v", r)
	}
	intents, unknown := map[ID]bool{}, 0
	err := Show(dir, Filter{}, func(e Entry) error {
		if e.Kind == KindIntent {
			intents[e.Seq] = true
		}
		if e.Kind == KindOutcome && e.Outcome == "unknown" {
			unknown++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for id := range sent {
		if !intents[id] {
			lost++
		}
	}
	t.Logf("%d kills, %d acknowledged intents, %d in the log, %d closed as unknown", rounds, len(sent), len(intents), unknown)
	if lost > 0 {
		t.Errorf("%d acknowledged intents are not in the log", lost)
	}
	if len(sent) < rounds {
		t.Errorf("only %d intents were acknowledged in %d rounds: the test did not test", len(sent), rounds)
	}
}

func runAndKill(t *testing.T, dir string, after time.Duration) []ID {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AUDIT_TEST_CHILD="+dir)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []ID
	lines := bufio.NewScanner(pipe)
	var timer *time.Timer
	for lines.Scan() {
		word, number, _ := strings.Cut(lines.Text(), " ")
		if word != "sent" {
			t.Errorf("child: %s", lines.Text())
			continue
		}
		if timer == nil { // count from the first intent, so that each round has some
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			continue // the line that the kill cut
		}
		ids = append(ids, ID(n))
	}
	_ = cmd.Wait()
	if timer == nil {
		t.Fatal("the child ended before its first intent")
	}
	if len(ids) > 0 {
		ids = ids[:len(ids)-1] // the last line may be cut within its number
	}
	return ids
}
