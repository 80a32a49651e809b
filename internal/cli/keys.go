package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

func (p *Program) keys() *cobra.Command {
	return group("keys", "Make and revoke the keys of sites' backends", "  sallyport keys create shop --connection payments",
		p.keysCreate(), p.keysList(), p.keysRotate(), p.keysRevoke())
}

func (p *Program) keysCreate() *cobra.Command {
	connection, shape := "", ""
	cmd := &cobra.Command{
		Use:   "create SITE",
		Short: "Make a key for a site's backend; it is printed once",
		Long: "Makes a key with which a site's backend calls the gate, and prints it. It is shown only now: the gate keeps a hash. The key stands\n" +
			"exactly where the provider's own key would stand, so an official SDK is given this key instead. With --connection it opens\n" +
			"that connection only, and takes the shape that the provider's SDKs look for, a pair or a pair with an application's id and private key\n" +
			"where they want these (one a line; with --json user, key, application_id, private_key); --shape names another shape.",
		Example: "  sallyport keys create shop --connection payments\n  sallyport keys create shop --connection payments --shape stripe-test\n  sallyport keys create shop",
		Args:    exactly(1, "the name of one SITE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := p.load()
			if err != nil {
				return err
			}
			wanted, err := p.keyShape(file, args[0], connection, shape)
			if err != nil {
				return err
			}
			return p.createKey(cmd.Context(), file, wanted, args[0], connection)
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "the one `CONNECTION` that the key opens; without it all of the site")
	cmd.Flags().StringVar(&shape, "shape", "", "the `SHAPE` that the key looks like (`sallyport providers show ID` lists them)")
	return p.withJSON(cmd)
}

// keyShape decides what a key looks like: as named, else as the connection's provider and mode
// suggest, else our own shape.
func (p *Program) keyShape(file *config.File, siteName, connection, name string) (provider.KeyShape, error) {
	s, conn, err := findTarget(file, siteName, connection)
	if err != nil {
		return provider.KeyShape{}, err
	}
	var shapes []provider.KeyShape
	var names []string
	for _, c := range s.Connections {
		if conn != nil && c != conn {
			continue
		}
		pack, err := p.findPack(c.Provider)
		if err != nil {
			return provider.KeyShape{}, err
		}
		for _, shape := range pack.KeyShapes {
			shapes, names = append(shapes, shape), append(names, shape.Name)
		}
	}
	own := session.DefaultShape()
	for _, shape := range append(shapes, own) {
		if name == shape.Name || name == "" && conn != nil && fitsMode(shape, conn.Mode) {
			return shape, nil
		}
	}
	if name == "" {
		return own, nil
	}
	return provider.KeyShape{}, found("there is no key shape "+quote(name)+" here", "one of "+strings.Join(append(names, own.Name), ", "))
}

func fitsMode(shape provider.KeyShape, mode provider.Mode) bool {
	return shape.Mode == "" || shape.Mode == mode || mode == provider.Mock && shape.Mode == provider.Sandbox
}

// createdKey is what `keys create --json` prints.
type createdKey struct {
	ID         string `json:"id"`
	Site       string `json:"site"`
	Connection string `json:"connection,omitempty"`
	Shape      string `json:"shape"`
	User       string `json:"user,omitempty"`
	Key        string `json:"key"`
	// ApplicationID and PrivateKey are set where SDKs sign tokens with an application's key.
	ApplicationID string `json:"application_id,omitempty"`
	PrivateKey    string `json:"private_key,omitempty"`
}

func (p *Program) createKey(ctx context.Context, file *config.File, shape provider.KeyShape, siteName, connection string) error {
	printed, stored, err := session.NewSiteKey(shape, siteName, connection, p.Now())
	if err != nil {
		return because(err, "make the key", "")
	}
	if err := p.withStore(ctx, file, func(s app.Store) error { return s.CreateSiteKey(ctx, stored) }); err != nil {
		return err
	}
	out := createdKey{ID: stored.ID, Site: siteName, Connection: connection, Shape: shape.Name, User: printed.User, Key: string(printed.Secret.Expose()),
		ApplicationID: printed.Application.ID, PrivateKey: string(printed.Application.PrivateKey.Expose())}
	err = p.facts(out, func() {
		for _, part := range []string{out.User, out.Key, out.ApplicationID, strings.TrimSpace(out.PrivateKey)} {
			if part != "" {
				p.line("%s", part)
			}
		}
	})
	if len(shape.Lines) > 0 {
		fmt.Fprintf(p.Err, "these stand in place of the provider's own: %s\n", strings.Join(shape.Lines, ", "))
	}
	fmt.Fprintf(p.Err, "%s opens %s; it is shown only now. Revoke it with: sallyport keys revoke %s\n", out.ID, target(siteName, connection), out.ID)
	return err
}

// listedKey is one line of `keys list`.
type listedKey struct {
	ID         string     `json:"id"`
	Site       string     `json:"site"`
	Connection string     `json:"connection,omitempty"`
	Shape      string     `json:"shape"`
	Created    time.Time  `json:"created"`
	LastUsed   *time.Time `json:"last_used,omitempty"`
	Revoked    *time.Time `json:"revoked,omitempty"`
}

func (p *Program) keysList() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:     "list [SITE]",
		Short:   "List keys: what they open, when they were made, last used, revoked",
		Long:    "Lists the keys of a site, or of all sites: what each opens, its shape, when it was made, last used and revoked. Keys themselves are not kept.",
		Example: "  sallyport keys list\n  sallyport keys list shop --json",
		Args:    atMostOne("the name of one SITE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, whole, err := p.places()
			if err != nil {
				return err
			}
			siteName := strings.Join(args, "")
			if siteName != "" && whole {
				if _, _, err := findTarget(file, siteName, ""); err != nil {
					return err
				}
			}
			var keys []session.StoredKey
			err = p.withStore(cmd.Context(), file, func(s app.Store) (err error) {
				keys, err = s.ListSiteKeys(cmd.Context(), siteName)
				return err
			})
			if err != nil {
				return err
			}
			return p.printKeys(keys)
		},
	})
}

func (p *Program) printKeys(keys []session.StoredKey) error {
	list := make([]listedKey, len(keys))
	rows := [][]string{{"ID", "OPENS", "SHAPE", "MADE", "LAST USED", "REVOKED"}}
	for i, k := range keys {
		list[i] = listedKey{ID: k.ID, Site: k.Site, Connection: k.Connection, Shape: k.Shape, Created: k.CreatedAt, LastUsed: orNil(k.LastUsedAt), Revoked: orNil(k.RevokedAt)}
		rows = append(rows, []string{k.ID, target(k.Site, k.Connection), k.Shape, day(k.CreatedAt), day(k.LastUsedAt), day(k.RevokedAt)})
	}
	return p.facts(list, func() { p.table(rows) })
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (p *Program) keysRevoke() *cobra.Command {
	return &cobra.Command{
		Use:        "revoke ID",
		Short:      "Revoke a key; it opens nothing from then on",
		SuggestFor: []string{"delete", "remove", "rm"},
		Long:       "Revokes a key by its id (`sallyport keys list` shows the ids). A gate that runs refuses it within a second.",
		Example:    "  sallyport keys revoke key_0f3a9c",
		Args:       exactly(1, "the ID of one key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !strings.HasPrefix(args[0], "key_") {
				return usage("this is not the id of a key", "ids begin with key_; `sallyport keys list` shows them; never type a key itself here")
			}
			file, _, err := p.places()
			if err != nil {
				return err
			}
			err = p.withStore(cmd.Context(), file, func(s app.Store) error {
				return s.RevokeSiteKey(cmd.Context(), args[0], p.Now())
			})
			if errors.Is(err, session.ErrKeyNotFound) {
				return found("there is no key "+quote(args[0]), "`sallyport keys list` shows the ids")
			}
			if err == nil {
				fmt.Fprintf(p.Err, "revoked %s\n", args[0])
			}
			return err
		},
	}
}

const databaseHint = "check that the database runs and can be reached from here, and address, user and password under store:; `sallyport check --secrets` reads the password"

// withStore opens the store beside a gate that may be running, and closes it again.
func (p *Program) withStore(ctx context.Context, file *config.File, do func(app.Store) error) error {
	store, err := app.OpenStore(ctx, file, app.StoreOptions{Now: p.Now})
	if err != nil {
		hint := "check the path under store: and the folder's owner"
		if file.Postgres != nil {
			hint = databaseHint
		}
		return because(err, "use the store", hint)
	}
	defer store.Close()
	return do(store)
}

// findTarget finds SITE, or SITE and CONNECTION, in the file.
func findTarget(file *config.File, siteName, connection string) (*site.Site, *site.Connection, error) {
	s, ok := file.Site(siteName)
	if !ok {
		var names []string
		for _, s := range file.Sites {
			names = append(names, s.Name)
		}
		return nil, nil, found("the file has no site "+quote(siteName), nearOr(siteName, names))
	}
	if connection == "" {
		return s, nil, nil
	}
	c, ok := s.Connections[connection]
	if !ok {
		var names []string
		for name := range s.Connections {
			names = append(names, name)
		}
		return nil, nil, found("the site "+siteName+" has no connection "+quote(connection), nearOr(connection, names))
	}
	return s, c, nil
}

func target(siteName, connection string) string {
	if connection == "" {
		return siteName
	}
	return siteName + "/" + connection
}
