package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/webhook"
)

func (p *Program) hooks() *cobra.Command {
	return group("hooks", "Look at events that providers sent, and deliver them again", "  sallyport hooks list --state buried\n  sallyport hooks replay --site shop --state buried",
		p.hooksList(), p.hooksShow(), p.hooksReplay(), p.hooksDestinations())
}

// listedEvent is an event as it is printed: never its body, which holds what people wrote.
type listedEvent struct {
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	Site       string    `json:"site"`
	Connection string    `json:"connection"`
	Mode       string    `json:"mode"`
	Type       string    `json:"type,omitempty"`
	Object     string    `json:"object,omitempty"`
}

func listed(e webhook.Event) listedEvent {
	return listedEvent{ID: e.ID, At: e.Received, Site: e.Site, Connection: e.Connection, Mode: e.Mode, Type: e.Type, Object: e.Object}
}

// filterFlags adds the flags that choose events.
func filterFlags(cmd *cobra.Command, f *webhook.Filter, since *time.Duration) {
	flags := cmd.Flags()
	flags.StringVar(&f.Site, "site", "", "of one `SITE`")
	flags.StringVar(&f.Connection, "connection", "", "of one `CONNECTION`")
	flags.StringVar(&f.Destination, "destination", "", "to one `SITE/CONNECTION/NAME`")
	flags.StringVar(&f.Type, "type", "", "of one `TYPE`; a trailing * stands for anything")
	flags.StringVar(&f.Object, "object", "", "about one `ID`")
	flags.StringVar(&f.State, "state", "", "with a delivery that is `waiting`, behind, done or buried")
	flags.DurationVar(since, "since", 0, "that came in the last `TIME`, such as 24h")
}

func (p *Program) checkFilter(f *webhook.Filter, since time.Duration) error {
	if f.State != "" && !slices.Contains(webhook.States(), f.State) {
		return usage("there is no state "+quote(f.State), "write one of "+strings.Join(webhook.States(), ", "))
	}
	if since < 0 {
		return usage("--since is negative", "write a time such as 24h")
	}
	if since > 0 {
		f.Since = p.Now().Add(-since)
	}
	return nil
}

func (p *Program) hooksList() *cobra.Command {
	var f webhook.Filter
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List events, the newest first",
		Long: "Lists events that providers sent and the gate verified, the newest first, without what is in them. It reads the store beside a gate\n" +
			"that may be running.",
		Example: "  sallyport hooks list --site shop --since 24h\n  sallyport hooks list --state buried --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.checkFilter(&f, since); err != nil {
				return err
			}
			list := []listedEvent{}
			err := p.withEvents(cmd.Context(), func(s app.Store) error {
				events, err := s.ListEvents(cmd.Context(), f)
				for _, e := range events {
					list = append(list, listed(e))
				}
				return err
			})
			if err != nil {
				return err
			}
			return p.facts(list, func() { p.printEvents(list, f.Limit) })
		},
	}
	filterFlags(cmd, &f, &since)
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "at most `N` events")
	cmd.Flags().StringVar(&f.After, "after", "", "those before the event `ID`, to go on with a list")
	return p.withJSON(cmd)
}

func (p *Program) withEvents(ctx context.Context, use func(app.Store) error) error {
	file, faults := config.Load(p.config, p.Catalog)
	if len(faults) > 0 {
		return faults
	}
	return p.withStore(ctx, file, use)
}

func (p *Program) printEvents(list []listedEvent, limit int) {
	if len(list) == 0 {
		p.line("there are no such events")
		return
	}
	rows := [][]string{{"EVENT", "CAME", "SITE", "CONNECTION", "MODE", "TYPE", "OBJECT"}}
	for _, e := range list {
		rows = append(rows, []string{e.ID, e.At.UTC().Format(time.DateTime), e.Site, e.Connection, e.Mode, orElse(e.Type, "-"), orElse(e.Object, "-")})
	}
	p.table(rows)
	if len(list) == limit {
		fmt.Fprintf(p.Err, "there may be more: sallyport hooks list --after %s\n", list[len(list)-1].ID)
	}
}

// shownDelivery is a delivery as it is printed.
type shownDelivery struct {
	ID          string     `json:"id"`
	Destination string     `json:"destination"`
	State       string     `json:"state"`
	Attempts    int        `json:"attempts"`
	Status      int        `json:"status,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Next        *time.Time `json:"next,omitempty"`
	Ended       *time.Time `json:"ended,omitempty"`
}

type shownEvent struct {
	listedEvent
	Bytes      int             `json:"sealed_bytes"`
	Deliveries []shownDelivery `json:"deliveries"`
}

func (p *Program) hooksShow() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:     "show EVENT",
		Short:   "Show an event and what became of its deliveries",
		Long:    "Shows an event and each of its deliveries: how far it is, how often it was tried, what the destination answered last, when the next\nattempt is due. What is in the event stays sealed.",
		Example: "  sallyport hooks show 7mzkqd2vplfxw3nyah5teuocrb",
		Args:    exactly(1, "the id of one EVENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out shownEvent
			err := p.withEvents(cmd.Context(), func(s app.Store) error {
				e, to, ok, err := s.FindEvent(cmd.Context(), args[0])
				if err == nil && !ok {
					return found("there is no event "+quote(args[0]), "`sallyport hooks list` lists them; events are removed when `keep` is over")
				}
				out = shownEvent{listedEvent: listed(e), Bytes: len(e.Sealed), Deliveries: shown(to)}
				return err
			})
			if err != nil {
				return err
			}
			return p.facts(out, func() { p.printEvent(out) })
		},
	})
}

func shown(to []webhook.Delivery) []shownDelivery {
	out := []shownDelivery{}
	for _, d := range to {
		one := shownDelivery{ID: d.ID, Destination: d.Destination, State: d.State.String(), Attempts: d.Attempts, Status: d.Status, Reason: d.Reason}
		if d.State == webhook.Waiting {
			one.Next = &d.Due
		}
		if !d.Ended.IsZero() {
			one.Ended = &d.Ended
		}
		out = append(out, one)
	}
	return out
}

func (p *Program) printEvent(e shownEvent) {
	p.line("%s  %s  %s/%s, mode %s", e.ID, e.At.UTC().Format(time.DateTime), e.Site, e.Connection, e.Mode)
	p.line("type %s, about %s, %d bytes sealed", orElse(e.Type, "-"), orElse(e.Object, "-"), e.Bytes)
	if len(e.Deliveries) == 0 {
		p.line("it goes nowhere: no destination wanted it when it came")
		return
	}
	rows := [][]string{{"DESTINATION", "STATE", "ATTEMPTS", "ANSWER", "NEXT", "DELIVERY"}}
	for _, d := range e.Deliveries {
		answer, next := d.Reason, "-"
		if d.Status > 0 {
			answer = strconv.Itoa(d.Status)
		}
		if d.Next != nil {
			next = d.Next.UTC().Format(time.DateTime)
		}
		rows = append(rows, []string{d.Destination, d.State, strconv.Itoa(d.Attempts), orElse(answer, "-"), next, d.ID})
	}
	p.table(rows)
}

func (p *Program) hooksReplay() *cobra.Command {
	var f webhook.Filter
	var since time.Duration
	all := false
	cmd := &cobra.Command{
		Use:   "replay [EVENT]",
		Short: "Deliver events again",
		Long: "Puts the deliveries of one event, or of those that the flags choose, into the queue again, in the order of the events. Delivery ids stay\n" +
			"the same, so a site that remembers them does nothing twice. What a gate is sending at the moment is left alone. A gate that runs sends within\n" +
			"a second; a destination that is disabled gets them when it is enabled.",
		Example: "  sallyport hooks replay 7mzkqd2vplfxw3nyah5teuocrb\n  sallyport hooks replay --site shop --state buried --since 72h",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.checkFilter(&f, since); err != nil {
				return err
			}
			if len(args) == 1 {
				f.Event = args[0]
			}
			if f == (webhook.Filter{}) && !all {
				return usage("nothing says which events", "name one EVENT, choose with flags such as --state buried, or say --all")
			}
			return p.replay(cmd.Context(), f)
		},
	}
	filterFlags(cmd, &f, &since)
	cmd.Flags().BoolVar(&all, "all", false, "every event that is kept")
	return p.withJSON(cmd)
}

func (p *Program) replay(ctx context.Context, f webhook.Filter) error {
	n := 0
	bar := p.progress()
	err := p.withEvents(ctx, func(s app.Store) (err error) {
		done := make(chan struct{})
		drawn := make(chan struct{})
		go func() {
			defer close(drawn)
			tick := time.NewTicker(progressEvery)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
					bar.show("putting deliveries into the queue", 0, 0)
				}
			}
		}()
		n, err = s.ReplayEvents(ctx, f, p.Now())
		close(done)
		<-drawn
		if err == nil && n > 0 {
			err = s.CreateAdminEvent(ctx, audit.AdminEvent{Kind: audit.KindEventsReplayed, Site: f.Site, Connection: f.Connection, Name: strconv.Itoa(n)})
		}
		return err
	})
	bar.end()
	if err != nil {
		return err
	}
	return p.facts(map[string]int{"deliveries": n}, func() { p.line("deliveries that are due again: %d", n) })
}

// shownDestination is a destination as it is printed.
type shownDestination struct {
	Destination string     `json:"destination"`
	URL         string     `json:"url,omitempty"` // empty: the file does not name it any more
	State       string     `json:"state"`         // works, failing, disabled
	Since       *time.Time `json:"since,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Waiting     int        `json:"waiting"`
	Buried      int        `json:"buried"`
}

func (p *Program) hooksDestinations() *cobra.Command {
	enable, disable := "", ""
	cmd := &cobra.Command{
		Use:   "destinations",
		Short: "Show where events go and what waits, or enable a destination",
		Long: "Shows every destination: whether it works, since when it fails, what waits for it and what is buried. A destination that failed for five\n" +
			"days, or answered 410, is disabled: what comes for it waits until it is enabled. Exit code 1 means that one fails or is disabled.",
		Example: "  sallyport hooks destinations\n  sallyport hooks destinations --enable shop/payments/site",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if enable != "" && disable != "" {
				return usage("--enable and --disable stand together", "use one of them")
			}
			return p.destinations(cmd.Context(), enable, disable)
		},
	}
	cmd.Flags().StringVar(&enable, "enable", "", "send to `SITE/CONNECTION/NAME` again")
	cmd.Flags().StringVar(&disable, "disable", "", "send nothing to `SITE/CONNECTION/NAME` until it is enabled")
	return p.withJSON(cmd)
}

func (p *Program) destinations(ctx context.Context, enable, disable string) error {
	file, faults := config.Load(p.config, p.Catalog)
	if len(faults) > 0 {
		return faults
	}
	list := destinationsOf(file)
	if name := enable + disable; name != "" && !slices.ContainsFunc(list, func(d shownDestination) bool { return d.Destination == name }) {
		return found("the file names no destination "+quote(name), "`sallyport hooks destinations` lists them")
	}
	bad := false
	err := p.withStore(ctx, file, func(s app.Store) error {
		if name := enable + disable; name != "" {
			if err := p.switchDestination(ctx, s, name, disable != ""); err != nil {
				return err
			}
		}
		healths, err := s.Healths(ctx)
		if err != nil {
			return err
		}
		backlogs, err := s.Backlogs(ctx)
		list, bad = fared(list, healths, backlogs)
		return err
	})
	if err != nil {
		return err
	}
	if err := p.facts(list, func() { p.printDestinations(list) }); err != nil {
		return err
	}
	if bad && enable+disable == "" {
		return found("a destination fails or is disabled", "look at its handler; `sallyport hooks destinations --enable NAME` starts one that is disabled")
	}
	return nil
}

func (p *Program) switchDestination(ctx context.Context, s app.Store, name string, off bool) error {
	reason, kind := "", audit.KindDestinationEnabled
	if off {
		reason, kind = "operator", audit.KindDestinationDisabled
	}
	if err := s.SetDisabled(ctx, name, reason, p.Now()); err != nil {
		return err
	}
	parts := strings.SplitN(name, "/", 3)
	return s.CreateAdminEvent(ctx, audit.AdminEvent{Kind: kind, Site: parts[0], Connection: parts[1], Name: name})
}

func destinationsOf(file *config.File) []shownDestination {
	out := []shownDestination{}
	for _, s := range file.Sites {
		for name, c := range s.Connections {
			if c.Webhooks == nil {
				continue
			}
			for _, d := range c.Webhooks.Destinations {
				out = append(out, shownDestination{Destination: s.Name + "/" + name + "/" + d.Name, URL: d.URL, State: "works"})
			}
		}
	}
	slices.SortFunc(out, func(a, b shownDestination) int { return strings.Compare(a.Destination, b.Destination) })
	return out
}

// fared adds what the store knows; bad reports whether one fails or is disabled.
func fared(list []shownDestination, healths []webhook.Health, backlogs []webhook.Backlog) (_ []shownDestination, bad bool) {
	at := func(name string) *shownDestination {
		for i := range list {
			if list[i].Destination == name {
				return &list[i]
			}
		}
		list = append(list, shownDestination{Destination: name, State: "removed"})
		return &list[len(list)-1]
	}
	for _, b := range backlogs {
		d := at(b.Destination)
		d.Waiting, d.Buried = b.Waiting, b.Buried
	}
	for _, h := range healths {
		d := at(h.Destination)
		if d.State == "removed" {
			continue
		}
		bad = true
		if d.State, d.Since = "failing", &h.FailingSince; !h.Disabled.IsZero() {
			d.State, d.Since, d.Reason = "disabled", &h.Disabled, h.Reason
		}
	}
	return list, bad
}

func (p *Program) printDestinations(list []shownDestination) {
	if len(list) == 0 {
		p.line("no events go anywhere")
		return
	}
	rows := [][]string{{"DESTINATION", "STATE", "SINCE", "WAITING", "BURIED", "ADDRESS"}}
	for _, d := range list {
		since, state := "-", d.State
		if d.Since != nil {
			since = d.Since.UTC().Format(time.DateTime)
		}
		if d.Reason != "" {
			state += " (" + d.Reason + ")"
		}
		rows = append(rows, []string{d.Destination, state, since, strconv.Itoa(d.Waiting), strconv.Itoa(d.Buried), orElse(d.URL, "-")})
	}
	p.table(rows)
}
