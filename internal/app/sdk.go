package app

import (
	"context"
	"fmt"

	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/ingress"
	"sallyport/internal/sdkproxy"
)

// openSDK opens the authority of the SDK port, where the file asks for that port.
func (g *Gate) openSDK(ctx context.Context, file *config.File) error {
	if file.Listen.SDK == nil {
		return nil
	}
	sealer, err := g.keyring.DataKey(ctx, "")
	if err != nil {
		return fmt.Errorf("open the key that seals the SDK authority: %w", err)
	}
	authority, issued, err := sdkproxy.Open(sdkproxy.Options{Dir: file.SDKAuthority, Sealer: sealer, Now: g.options.Now}, sdkproxy.Names(sdkRoutes(file)))
	if err != nil {
		return err
	}
	g.authority = authority
	g.authorityIssued(issued)
	return nil
}

func sdkRoutes(file *config.File) map[string][]egress.Target {
	return sdkproxy.Routes(file.Sites, file.Catalog.Find)
}

// authorityIssued tells, in the log and in the audit log, that there is a new certificate:
// SDKs that trust the one before do not know the names that came with this one.
func (g *Gate) authorityIssued(issued bool) {
	if !issued {
		return
	}
	info := g.authority.Info()
	g.log.Warn("the SDK port's authority was issued; give SDKs the certificate that `sallyport ca show` prints", "name", info.Fingerprint, "expires", info.Ends)
	if err := g.audit.Record(context.Background(), audit.Event{Kind: audit.KindAuthorityIssued, Name: info.Fingerprint}); err != nil {
		g.log.Error("audit event was not written", "kind", string(audit.KindAuthorityIssued), "error", err)
	}
}

// sdkConnections are what the SDK port answers for; nothing where a start did not open it, or
// the file no longer has it.
func (g *Gate) sdkConnections(file *config.File) map[string][]egress.Target {
	if g.authority == nil || file.Listen.SDK == nil {
		return nil
	}
	return sdkRoutes(file)
}

// swapNames makes the authority good for the names of file, and gives what takes that back.
// Where the file has no SDK port any more, or nothing for it, the authority stays as it is:
// the routes decide what is answered.
func (g *Gate) swapNames(file *config.File) (undo func(), err error) {
	nothing := func() {}
	if g.authority == nil || file.Listen.SDK == nil {
		return nothing, nil
	}
	before := g.authority.Names()
	issued, err := g.authority.SetNames(sdkproxy.Names(sdkRoutes(file)))
	if err != nil {
		return nothing, err
	}
	g.authorityIssued(issued)
	return func() {
		issued, err := g.authority.SetNames(before)
		if err != nil {
			g.log.Error("the SDK port's authority could not be issued for the names of the file before", "error", err)
			return
		}
		g.authorityIssued(issued)
	}, nil
}

// renewAuthority issues the authority's certificate anew months before its end.
func (g *Gate) renewAuthority() {
	if g.authority == nil {
		return
	}
	issued, err := g.authority.Renew()
	if err != nil {
		g.log.Error("the SDK port's authority could not be renewed", "error", err)
		return
	}
	g.authorityIssued(issued)
}

func (g *Gate) sdkListener(file *config.File) *ingress.SDK {
	if g.authority == nil {
		return nil
	}
	return &ingress.SDK{Address: file.Listen.SDK.Address, From: file.Listen.SDK.From, Certificate: g.authority.Certificate}
}
