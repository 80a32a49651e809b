package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/problem"
)

func (p *Program) auditLog() *cobra.Command {
	return group("audit", "Show and verify the audit log", "  sallyport audit show --site shop --since 1h\n  sallyport audit verify",
		p.auditShow(), p.auditVerify())
}

// auditWanted is what the flags of `audit show` say.
type auditWanted struct {
	filter  audit.Filter
	kind    string
	outcome string
	since   string
	last    int
}

func (p *Program) auditShow() *cobra.Command {
	w := auditWanted{}
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show entries of the audit log, oldest first",
		Long: "Shows what the gate did and was asked to do: an intent before each attempt, its outcome, refusals and administration. It works\n" +
			"beside a running gate. People stand in the log only as keyed hashes. With --json each entry is one line of JSON.",
		Example: "  sallyport audit show --site shop --since 1h\n  sallyport audit show --kind refused --last 20\n  sallyport audit show --request 01J… --json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			file, _, err := p.places()
			if err != nil {
				return err
			}
			if err := w.read(p.Now()); err != nil {
				return err
			}
			return p.showAudit(file, w)
		},
	}
	cmd.Flags().StringVar(&w.filter.Site, "site", "", "only this `SITE`")
	cmd.Flags().StringVar(&w.filter.Connection, "connection", "", "only this `CONNECTION`")
	cmd.Flags().StringVar(&w.filter.Operation, "operation", "", "only this `OPERATION`")
	cmd.Flags().StringVar(&w.filter.Request, "request", "", "only the request with this `ID`")
	cmd.Flags().StringVar(&w.kind, "kind", "", "only entries of this `KIND`: intent, outcome, refused, …")
	cmd.Flags().StringVar(&w.outcome, "outcome", "", "only this `OUTCOME`: performed, not_performed, unknown")
	cmd.Flags().StringVar(&w.since, "since", "", "only since a `TIME`: 90m, 24h, 2026-11-23, or 2026-11-23T10:00:00Z")
	cmd.Flags().IntVar(&w.last, "last", 0, "only the last `N` entries")
	return p.withJSON(cmd)
}

// read turns words into the filter; a word that means nothing is wrong use, not an empty answer.
func (w *auditWanted) read(now time.Time) error {
	if w.kind != "" {
		var names []string
		for _, k := range audit.Kinds() {
			names = append(names, string(k))
		}
		if !slices.Contains(names, w.kind) {
			return usage("there is no kind of entry "+quote(w.kind), nearOr(w.kind, names))
		}
		w.filter.Kind = audit.Kind(w.kind)
	}
	if outcomes := []string{string(problem.Performed), string(problem.NotPerformed), string(problem.Unknown)}; w.outcome != "" && !slices.Contains(outcomes, w.outcome) {
		return usage("there is no outcome "+quote(w.outcome), "one of "+strings.Join(outcomes, ", "))
	}
	w.filter.Outcome = problem.Outcome(w.outcome)
	if w.last < 0 {
		return usage("--last is below 0", "for instance --last 20")
	}
	var err error
	w.filter.Since, err = sinceTime(w.since, now)
	return err
}

// sinceTime reads what --since says; without it, the zero time.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usage("--since "+quote(text)+" is no time", "write 90m, 24h, 2026-11-23 (in UTC), or 2026-11-23T10:00:00Z")
}

func (p *Program) showAudit(file *config.File, w auditWanted) error {
	var kept []audit.Entry // the last ones, where only those are wanted
	err := audit.Show(file.Audit, w.filter, func(e audit.Entry) error {
		if w.last == 0 {
			return p.auditLine(e)
		}
		if len(kept) == w.last {
			kept = kept[1:]
		}
		kept = append(kept, e)
		return nil
	})
	if err != nil {
		return auditFailure(file, err)
	}
	for _, e := range kept {
		if err := p.auditLine(e); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) auditLine(e audit.Entry) error {
	if !p.json {
		p.line("%s", e.Text())
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("print entry %s: %w", e.Seq, err)
	}
	_, err = fmt.Fprintf(p.Out, "%s\n", line)
	return err
}

func (p *Program) auditVerify() *cobra.Command {
	checkpoint, key := "", ""
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify the audit log from its bytes up",
		Long: "Checks every entry, the Merkle tree, the signed checkpoint, and that each outcome belongs to one intent. It works beside a running\n" +
			"gate. A log cannot prove by itself that it was not replaced whole: keep checkpoints elsewhere, and give one with --checkpoint.\n" +
			"Exit code 1 means that the log is not what was written.",
		Example: "  sallyport audit verify\n  sallyport audit verify --checkpoint kept/checkpoint --key kept/audit.pub --json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			file, _, err := p.places()
			if err != nil {
				return err
			}
			anchor, err := readAnchor(checkpoint, key)
			if err != nil {
				return err
			}
			report, err := audit.Verify(file.Audit, anchor)
			if err != nil {
				return auditFailure(file, err)
			}
			return p.printReport(report)
		},
	}
	cmd.Flags().StringVar(&checkpoint, "checkpoint", "", "a checkpoint in `FILE` that was kept elsewhere")
	cmd.Flags().StringVar(&key, "key", "", "the log's public key in `FILE` that was kept elsewhere")
	return p.withJSON(cmd)
}

func readAnchor(checkpoint, key string) (audit.Anchor, error) {
	var a audit.Anchor
	var err error
	if checkpoint != "" {
		if a.Checkpoint, err = os.ReadFile(checkpoint); err != nil {
			return a, because(err, "read the checkpoint", "name the file that was kept")
		}
	}
	if key != "" {
		public, err := os.ReadFile(key)
		if err != nil {
			return a, because(err, "read the public key", "name the copy of audit.pub that was kept")
		}
		a.PublicKey = string(bytes.TrimSpace(public))
	}
	return a, nil
}

func (p *Program) printReport(r *audit.Report) error {
	err := p.facts(r, func() {
		p.line("%d entries, %d of them in the signed tree: %d intents, %d outcomes, %d events", r.Entries, r.Checkpoint, r.Intents, r.Outcomes, r.Events)
		if r.OpenCount > 0 {
			p.line("%s without an outcome: in flight, or closed as unknown at the next start", counted(r.OpenCount, "intent"))
		}
		for _, f := range r.Faults {
			p.line("fault: %s: %s", f.Where, f.What)
		}
		for _, note := range r.Notes {
			p.line("note: %s", note)
		}
	})
	switch {
	case err != nil:
		return err
	case !r.OK() && p.json:
		return errSilent
	case !r.OK():
		return found("the audit log is not what was written: "+counted(len(r.Faults), "fault"), "stop trusting this machine's copy, keep it as it is, and compare with a checkpoint kept elsewhere")
	}
	if !p.json {
		p.line("the audit log is whole")
	}
	return nil
}

func auditFailure(file *config.File, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return found("there is no audit log at "+file.Audit, "it is made when the gate first runs with this file")
	}
	return because(err, "read the audit log", "run it as the user that the gate runs as")
}
