package hashivault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	vault "github.com/hashicorp/vault/api"

	"sallyport/internal/secret"
)

// mountsKept is how long it is believed which engine a mount is.
const mountsKept = 10 * time.Minute

// mount is what Vault says of the engine at a path.
type mount struct {
	path string // with its last slash: kv/
	kv2  bool
	at   time.Time
}

// lease is Vault's word on how long an answer is good; the zero lease: it says nothing.
type lease struct {
	id        string
	lasts     time.Duration
	renewable bool
}

// answer is a secret with all its fields.
type answer struct {
	fields  map[string]secret.Value
	lease   lease
	version version // of KV v2
}

// fetch reads a secret, whatever engine it lies in.
func (s *Source) fetch(ctx context.Context, n Name) (answer, error) {
	m, err := s.mountOf(ctx, n.Path)
	if err != nil {
		return answer{}, err
	}
	path, query := n.Path, map[string][]string(nil)
	if m.kv2 {
		path = m.path + "data/" + strings.TrimPrefix(n.Path, m.path)
		if n.Version > 0 {
			query = map[string][]string{"version": {strconv.Itoa(n.Version)}}
		}
	} else if n.Version > 0 {
		return answer{}, &Failure{Kind: Missing, Err: secret.ErrNotFound, Text: fmt.Sprintf("%s is not KV version 2 and keeps no versions: remove ?version=%d from the reference", m.path, n.Version)}
	}
	got, err := s.do(ctx, request{path: path, query: query, what: "reading " + path})
	var f *Failure
	if errors.As(err, &f) && f.Kind == Denied {
		return answer{}, &Failure{Kind: Denied, Err: f, Text: f.Text + "; the policy of the gate's token needs: path \"" + path + "\" { capabilities = [\"read\"] }"}
	}
	if err != nil {
		return answer{}, err
	}
	if got == nil || got.Data == nil {
		s.forgetMount(n.Path)
		return answer{}, nothing(n, path)
	}
	return s.taken(n, m, got)
}

func nothing(n Name, path string) *Failure {
	return &Failure{Kind: Missing, Err: secret.ErrNotFound,
		Text: "Vault has no secret at " + n.key() + " (asked for " + path + "): `vault kv put " + n.Path + " FIELD=-` stores one; is the path right, and the namespace?"}
}

// taken takes the fields out of an answer.
func (s *Source) taken(n Name, m mount, got *vault.Secret) (answer, error) {
	a := answer{fields: map[string]secret.Value{}, lease: lease{got.LeaseID, time.Duration(got.LeaseDuration) * time.Second, got.Renewable}}
	data := got.Data
	if m.kv2 {
		inner, ok := data["data"].(map[string]any)
		if !ok {
			return answer{}, gone(n, data)
		}
		a.version, data = versionOf(data), inner
	}
	for name, v := range data {
		if value, ok := text(v); ok {
			a.fields[name] = value
		}
	}
	if len(a.fields) == 0 {
		return answer{}, nothing(n, n.Path)
	}
	return a, nil
}

// gone says what became of a version that is not there any more.
func gone(n Name, data map[string]any) *Failure {
	what := "was deleted; `vault kv undelete -versions=N " + n.Path + "` brings it back"
	if meta, ok := data["metadata"].(map[string]any); ok && meta["destroyed"] == true {
		what = "was destroyed; store a new version"
	}
	return &Failure{Kind: Missing, Err: secret.ErrNotFound, Text: "the version of " + n.key() + " in Vault " + what}
}

// noField says which fields a secret has. Names of fields are no secrets.
func noField(n Name, fields map[string]secret.Value) *Failure {
	names := slices.Sorted(maps.Keys(fields))
	more := ""
	if len(names) > 8 {
		names, more = names[:8], ", …"
	}
	return &Failure{Kind: Missing, Err: secret.ErrNotFound,
		Text: "the secret " + n.key() + " in Vault has no field " + n.Field + " with text or a number in it; it has " + strings.Join(names, ", ") + more}
}

// mountOf asks which engine a path lies in, as the KV command line does.
func (s *Source) mountOf(ctx context.Context, path string) (mount, error) {
	first, _, _ := strings.Cut(path, "/")
	now := s.o.Now()
	s.mu.Lock()
	for at, m := range s.mounts {
		if strings.HasPrefix(path, at) && now.Sub(m.at) < mountsKept {
			s.mu.Unlock()
			return m, nil
		}
	}
	s.mu.Unlock()
	what := "asking which engine " + first + "/ is"
	got, err := s.do(ctx, request{path: "sys/internal/ui/mounts/" + path, what: what})
	var f *Failure
	if errors.As(err, &f) && f.Kind == Denied {
		// Vault answers so for mounts that are not there, too.
		return mount{}, &Failure{Kind: Denied, Err: f, Text: "Vault lets the gate's token see nothing at " + path + " (403): there is no such mount, or no policy of the token names a path in it. " +
			"For KV version 2 the policy needs: path \"" + first + "/data/" + strings.TrimPrefix(path, first+"/") + "\" { capabilities = [\"read\"] }"}
	}
	if err != nil {
		return mount{}, err
	}
	m := mount{path: first + "/", at: now}
	if got != nil {
		m.kv2 = version2(got.Data)
		if at, ok := got.Data["path"].(string); ok && strings.HasPrefix(path, at) && strings.HasSuffix(at, "/") {
			m.path = at
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mounts) >= maxEntries {
		clear(s.mounts)
	}
	s.mounts[m.path] = m
	return m, nil
}

func version2(data map[string]any) bool {
	options, ok := data["options"].(map[string]any)
	return ok && data["type"] == "kv" && options["version"] == "2"
}

// forgetMount lets the engine be asked for again: a KV mount may have been upgraded.
func (s *Source) forgetMount(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.mounts, func(at string, _ mount) bool { return strings.HasPrefix(path, at) })
}

// renewLease asks for more time for a leased secret.
func (s *Source) renewLease(ctx context.Context, l lease) (lease, error) {
	got, err := s.do(ctx, request{path: "sys/leases/renew", what: "the renewal of a lease",
		body: map[string]any{"lease_id": l.id, "increment": int(l.lasts / time.Second)}})
	if err != nil {
		return lease{}, err
	}
	if got == nil || got.LeaseDuration <= 0 {
		return lease{}, &Failure{Kind: Unusable, Text: "Vault renewed a lease and did not say for how long"}
	}
	return lease{l.id, time.Duration(got.LeaseDuration) * time.Second, got.Renewable}, nil
}
