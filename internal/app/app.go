// Package app is the only place that wires the parts of a gate together: it opens what
// lasts (store, audit log, keys, limits, connections to providers), builds a snapshot
// from a configuration, and swaps a new one in when the file changes.
//
// It guarantees that a bad file changes nothing, that one call sees one snapshot, and
// that everything it opened is closed in the reverse order. It decides nothing about
// calls.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/budget"
	"sallyport/internal/challenge"
	"sallyport/internal/config"
	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/grant"
	"sallyport/internal/guard"
	"sallyport/internal/ingress"
	"sallyport/internal/login"
	"sallyport/internal/openid"
	"sallyport/internal/outbound"
	"sallyport/internal/permit"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/receipt"
	"sallyport/internal/sdkproxy"
	"sallyport/internal/secret"
	"sallyport/internal/secret/age"
	"sallyport/internal/secret/seal"
	"sallyport/internal/session"
	"sallyport/internal/store/compiled"
	"sallyport/internal/store/redis"
)

// limiterEntries bounds the memory of rate limits.
const limiterEntries = 1 << 18

// Options say what to run.
type Options struct {
	// Path is the configuration file.
	Path string
	// Log takes the log lines.
	Log *slog.Logger
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
	// Steady counts the time that passes, whatever becomes of the wall clock; nil means
	// the machine's monotonic clock, from the wall clock's time at the start.
	Steady func() time.Time
}

// steady is a clock that goes on from began by what passes.
func steady(began time.Time) func() time.Time {
	return func() time.Time { return began.Add(time.Since(began)).Round(0) }
}

// Gate is a running gate. Open makes it, Run serves until its context ends, Close
// releases what Open took.
type Gate struct {
	options Options
	log     *slog.Logger
	catalog *provider.Catalog

	store    Store
	audit    *audit.Log
	keyring  *seal.Keyring
	rootFrom string // where the root key came from, in words
	hashKeys *hashKeys
	keys     *session.Keys
	issuer   *session.Issuer
	verifier *session.Verifier
	siteKeys *session.SiteKeys
	limiter  *ratelimit.Limiter // of this node
	limits   Limiter            // what calls are counted with: limiter, or that of shared
	shared   *redis.Server      // nil: this node counts for itself
	owned    *egress.OwnedMemory
	freezes  egress.FreezeWatch
	used     challenge.Used
	work     *challenge.Work
	secrets  secret.Sources
	ages     *age.Book
	way      *wayOut
	mocks    *mocks
	flights  egress.Flights
	bell     *egress.Bell
	guards   *guard.Book
	budgets  *budget.Ledger

	permitReader *permit.Reader
	receipts     *receipt.Issuer
	desk         *receipt.Desk
	logins       *login.Desk
	grants       *grant.Desk
	hooks        hooks
	openIDKeys   atomic.Pointer[openid.Keys] // nil until a site has an OpenID provider

	authority *sdkproxy.Authority // nil: there is no SDK port
	server    *ingress.Server
	closes    []func() error

	mu      sync.Mutex
	file    *config.File
	started *config.File // the file as it was at the start: what only a start reads is still of it
}

// Open reads the file, opens everything and listens. Faults of the file come back as
// config.Faults.
func Open(ctx context.Context, o Options) (*Gate, error) {
	if o.Steady == nil {
		o.Steady = steady(time.Now())
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	// The limiter comes first: its table then lies in memory that nothing has written yet, and what
	// nobody asks of it costs nothing.
	g := &Gate{options: o, log: o.Log, limiter: ratelimit.New(limiterEntries), guards: guard.New(nil), catalog: provider.Builtin().Keep(func(dir string) contract.Cache { return compiled.New(dir, o.Log) })}
	file, faults := config.Load(o.Path, g.catalog)
	if len(faults) > 0 {
		return nil, faults
	}
	if err := g.open(ctx, file); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Gate) open(ctx context.Context, file *config.File) error {
	for _, step := range []func(context.Context, *config.File) error{
		g.openData, g.openSecrets, g.openStore, g.openShared, g.openAudit, g.openBudgets, g.openCallers, g.openWays, g.openHooks, g.openSDK, g.listen,
	} {
		if err := step(ctx, file); err != nil {
			return err
		}
	}
	g.file, g.started = file, file
	return nil
}

func (g *Gate) onClose(f func() error) { g.closes = append(g.closes, f) }

// Close releases everything, last opened first. It may be called more than once.
func (g *Gate) Close() error {
	var errs []error
	for i := len(g.closes) - 1; i >= 0; i-- {
		errs = append(errs, g.closes[i]())
	}
	g.closes = nil
	return errors.Join(errs...)
}

func (g *Gate) openData(_ context.Context, file *config.File) error {
	if err := os.MkdirAll(file.Data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	return nil
}

func (g *Gate) openAudit(_ context.Context, file *config.File) error {
	log, err := audit.Open(file.Audit, audit.Options{
		Now: g.options.Now, Logger: g.log,
		Key: g.hashKeys.key,
	})
	if err != nil {
		return err
	}
	g.audit = log
	g.bell = egress.NewBell(log, alertLine(g.log), g.options.Now)
	g.onClose(log.Close)
	return nil
}

func (g *Gate) openCallers(ctx context.Context, file *config.File) error {
	sealer, err := g.keyring.DataKey(ctx, "")
	if err != nil {
		return fmt.Errorf("open what is sealed in the store %s with %s: %w", storeName(file), g.rootFrom, err)
	}
	g.keys, err = session.OpenKeys(ctx, session.KeysOptions{Store: g.store, Sealer: sealer, Now: g.options.Now, Log: g.log})
	if err != nil {
		return err
	}
	g.issuer, err = session.NewIssuer(session.IssuerOptions{Name: issuerName, Keys: g.keys, Limiter: g.limits, Now: g.options.Now})
	if err != nil {
		return err
	}
	g.verifier, err = session.OpenVerifier(ctx, session.VerifierOptions{Name: issuerName, Keys: g.keys, Store: g.store, Now: g.options.Now, Log: g.log})
	if err != nil {
		return err
	}
	if err = g.openChallenges(); err != nil {
		return err
	}
	g.siteKeys, err = session.NewSiteKeys(session.SiteKeysOptions{Store: g.store, Limiter: g.limits, Now: g.options.Now, Log: g.log, Tokens: g.keys, Applications: g.store})
	if err != nil {
		return err
	}
	g.store.Follow(func(ctx context.Context) error { g.siteKeys.Recheck(); return g.verifier.Sync(ctx) })
	if err = g.openLogins(); err != nil {
		return err
	}
	return g.openStatements()
}

// openStatements opens what reads permits and makes and takes receipts.
func (g *Gate) openStatements() (err error) {
	if g.permitReader, err = permit.NewReader(permit.Options{Keys: g.siteKeys, Now: g.options.Now}); err != nil {
		return err
	}
	o := receipt.Options{Name: issuerName, Keys: g.keys, Now: g.options.Now}
	if g.receipts, err = receipt.NewIssuer(o); err != nil {
		return err
	}
	g.desk, err = receipt.NewDesk(o, g.store)
	return err
}

// issuerName is the iss claim of session tokens and receipts.
const issuerName = "sallyport"

func (g *Gate) openWays(_ context.Context, _ *config.File) error {
	g.mocks = &mocks{now: g.options.Now, made: map[string]*mockEntry{}}
	watched, err := g.openAges()
	if err != nil {
		return err
	}
	g.way = newWayOut(watched, g.ownAddresses, g.crew())
	g.way.told = g.tellSecond
	g.openTokens()
	g.onClose(g.way.Close)
	return g.openGrants()
}

// ownAddresses are what the gate listens on: nothing may connect to them by a
// provider's name.
func (g *Gate) ownAddresses() []netip.AddrPort {
	if g.server == nil {
		return nil
	}
	var out []netip.AddrPort
	for _, a := range g.server.Addrs() {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			out = append(out, ap)
		}
	}
	return out
}

func (g *Gate) listen(_ context.Context, file *config.File) error {
	snapshot, err := g.snapshot(file)
	if err != nil {
		return err
	}
	c, err := g.ingressConfig(file)
	if err != nil {
		return err
	}
	g.server, err = ingress.Open(c, snapshot)
	if err != nil {
		return err
	}
	g.hooks.use()
	g.onClose(g.server.Close)
	return nil
}

// Addr is the address of the public listener.
func (g *Gate) Addr() net.Addr { return g.server.PublicAddr() }

// File is the configuration that the gate runs on.
func (g *Gate) File() *config.File {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.file
}

// Run serves until ctx ends, reloads on a change of the file or when reload is sent
// to, and drains. It returns nil after an orderly end.
func (g *Gate) Run(ctx context.Context, reload <-chan os.Signal) error {
	g.logStart()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Calls that are being finished still ask what is frozen and who was revoked.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var background sync.WaitGroup
	for _, run := range []func(context.Context) error{g.keys.Run, g.verifier.Run, g.siteKeys.Run, g.freezes.Run, g.budgets.Run, g.housekeeping, g.moveAdminEvents, g.moveReceived, g.hooks.dispatcher.Run, g.watchVault, g.turnOpenIDKeys, g.watchSecrets, g.watchProbes} {
		background.Go(func() {
			if err := run(work); err != nil && work.Err() == nil {
				g.log.Error("background work ended", "error", err)
			}
		})
	}
	if g.shared != nil {
		background.Go(func() { _ = g.shared.Run(work) })
	}
	background.Go(func() { g.watch(ctx, reload) })
	// Reading the file and the catalog took more memory than keeping them does: give the rest back.
	background.Go(debug.FreeOSMemory)
	err := g.server.Run(ctx)
	cancel()
	stop()
	background.Wait()
	return err
}

func (g *Gate) logStart() {
	g.log.Info("listening", "listen", g.Addr().String(), "config", g.file.Hash, "sites", len(g.file.Sites))
	g.event(audit.KindStarted)
	g.logFile(g.file)
}

func (g *Gate) logFile(file *config.File) {
	for _, w := range file.Warnings {
		g.log.Warn("configuration", "name", w.Path, "line", w.Line, "reason", w.Found)
	}
	for _, l := range file.Loosened {
		g.log.Warn("loosened", "name", l.Where, "line", l.Line, "reason", l.What)
	}
	g.warnOfSecrets(file)
}

// warnOfSecrets tells at once of credentials that cannot be used: the gate starts all the
// same, because one site's missing key must not stop the others.
func (g *Gate) warnOfSecrets(file *config.File) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, s := range file.Sites {
		for _, c := range s.Connections {
			pack, err := file.Catalog.Find(c.Provider)
			if err != nil || c.Mode == provider.Mock && c.Upstream == nil {
				continue
			}
			for _, f := range pack.Credentials {
				ref, ok := c.Credentials[f.Name]
				if !ok {
					continue
				}
				if _, err := g.way.reader(f, c.Mode, ref, g.secrets.Read)(ctx); err != nil {
					g.log.Warn("a credential cannot be used; calls of this connection are refused", "site", s.Name, "connection", c.Name, "name", f.Name, "error", err)
				}
			}
		}
	}
}

func (g *Gate) event(kind audit.Kind) {
	hash := ""
	if g.file != nil {
		hash = g.file.Hash
	}
	if err := g.audit.Record(context.Background(), audit.Event{Kind: kind, Config: hash}); err != nil {
		g.log.Error("audit event was not written", "kind", string(kind), "error", err)
	}
}

// housekeeping removes what has expired, once a minute.
func (g *Gate) housekeeping(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		g.renewAuthority()
		g.endRotations(ctx)
		_, err1 := g.store.PurgeRepeats(ctx, g.options.Steady())
		_, err2 := g.store.PurgeRevocations(ctx, g.options.Now())
		_, err3 := g.store.PurgeOwned(ctx, g.options.Steady(), egress.OwnedPerSite)
		g.purgeEvents(ctx)
		both := earlier(g.options.Now(), g.options.Steady())
		_, err4 := g.store.PurgePermits(ctx, both)
		_, err5 := g.store.PurgeReceipts(ctx, both)
		_, err6 := g.store.PurgeBudgets(ctx, both.Add(-budgetsKept))
		_, err7 := g.store.PurgeLogins(ctx, both)
		_, err8 := g.store.PurgeTokens(ctx, both.Add(-tokensKept))
		if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8); err != nil && ctx.Err() == nil {
			g.log.Error("expired rows were not removed", "error", err)
		}
	}
}

// earlier is the earlier of two clocks: what is forgotten by it, no step of either clock makes
// count again.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// ready is what /readyz asks beyond the listener's own state.
func (g *Gate) ready(ctx context.Context) error {
	if err := g.audit.Err(); err != nil {
		return problem.Wrap(err, problem.AuditUnavailable, "the audit log takes no entries")
	}
	if err := g.store.Check(ctx); err != nil {
		return problem.Wrap(err, problem.StoreUnavailable, "the store cannot be used")
	}
	return nil
}

// dialer makes the dialer for what the operator runs beside the gate.
func (g *Gate) dialer() *outbound.Dialer {
	return outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure})
}

// Serve runs the gate and closes it; the error is of either.
func (g *Gate) Serve(ctx context.Context, reload <-chan os.Signal) error {
	err := g.Run(ctx, reload)
	g.event(audit.KindStopped)
	err = errors.Join(err, g.Close())
	if err == nil {
		g.log.Info("stopped", "listen", g.Addr().String())
	}
	return err
}
