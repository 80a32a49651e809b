package cli

import (
	"context"
	"errors"
	"maps"
	"slices"

	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/secret/hashivault"
	"sallyport/internal/site"
)

// secretState says whether one secret that the file names can be used; never its value.
type secretState struct {
	Where string `json:"where"` // site/connection field, or the key of what the operator runs
	Ref   string `json:"ref"`
	OK    bool   `json:"ok"`
	State string `json:"state"`
}

// readSecrets reads every secret that the file names, and compares its form with what the catalog says.
func (p *Program) readSecrets(ctx context.Context, file *config.File) []secretState {
	sources, err := file.Secrets(ctx)
	if err != nil {
		return []secretState{{Where: "keystore", State: p.keystoreFailure(err).Error()}}
	}
	defer config.CloseSecrets(sources)
	states := operatorSecrets(ctx, file, sources)
	for _, s := range file.Sites {
		for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
			states = append(states, connectionSecrets(ctx, file.Catalog, sources, s.Connections[name])...)
		}
	}
	return states
}

// operatorSecrets are the passwords of what the operator runs beside the gate.
func operatorSecrets(ctx context.Context, file *config.File, sources secret.Sources) []secretState {
	named := map[string]secret.Ref{}
	if file.Postgres != nil {
		named["store password"] = file.Postgres.Password
	}
	if file.SharedState != nil {
		named["shared_state password"] = file.SharedState.Password
	}
	states := []secretState{}
	for _, where := range slices.Sorted(maps.Keys(named)) {
		ref := named[where]
		if ref == (secret.Ref{}) {
			continue
		}
		state := secretState{Where: where, Ref: ref.String(), OK: true, State: "good"}
		if _, reason := readable(ctx, sources, ref); reason != "" {
			state.OK, state.State = false, reason
		}
		states = append(states, state)
	}
	return states
}

// readable reads a secret, or says why it cannot be.
func readable(ctx context.Context, sources secret.Sources, ref secret.Ref) (secret.Value, string) {
	if _, ok := sources[ref.Scheme]; !ok {
		return secret.Value{}, "the keystore's key is not set: set SALLYPORT_KEYSTORE_KEY_FILE or SALLYPORT_KEYSTORE_KEY"
	}
	value, err := sources.Read(ctx, ref)
	var failure *hashivault.Failure
	switch {
	case errors.As(err, &failure):
		return value, failure.Text
	case errors.Is(err, secret.ErrNotFound):
		return value, "nothing is stored there"
	case err != nil:
		return value, err.Error()
	}
	return value, ""
}

func connectionSecrets(ctx context.Context, catalog config.Catalog, sources secret.Sources, c *site.Connection) []secretState {
	pack, err := catalog.Find(c.Provider)
	if err != nil {
		return nil // Load has checked it
	}
	var states []secretState
	for _, f := range pack.Credentials {
		ref, ok := c.Credentials[f.Name]
		if !ok {
			continue
		}
		state := secretState{Where: c.Site + "/" + c.Name + " " + f.Name, Ref: ref.String(), OK: true, State: "good"}
		if reason := unusable(ctx, sources, ref, f, c.Mode); reason != "" {
			state.OK, state.State = false, reason
		}
		states = append(states, state)
	}
	return states
}

func unusable(ctx context.Context, sources secret.Sources, ref secret.Ref, f provider.CredentialField, mode provider.Mode) string {
	value, reason := readable(ctx, sources, ref)
	if reason != "" {
		return reason
	}
	if err := config.CheckCredential(f, mode, value.Expose()); err != nil {
		return err.Error()
	}
	return ""
}
