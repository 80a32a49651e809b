package config

import (
	"reflect"
	"testing"

	"sallyport/internal/secret"
	"sallyport/internal/secret/hashivault"
	"sallyport/internal/site"
)

// TestSecretUsesAreComplete puts a reference into every place of a File that has the type of one,
// and wants each listed: a new place cannot be forgotten.
func TestSecretUsesAreComplete(t *testing.T) {
	f := &File{Postgres: &Postgres{}, SharedState: &SharedState{}, Vault: &Vault{Auth: hashivault.Auth{}},
		Sites: []*site.Site{{Name: "shop",
			Connections: map[string]*site.Connection{"pay": {Credentials: map[string]secret.Ref{"key": {}}}},
			OpenID:      &site.OpenID{Clients: map[string]*site.OpenIDClient{"app": {}}}}}}
	n := 0
	fill(reflect.ValueOf(f).Elem(), &n)
	if n < 7 {
		t.Fatalf("%d references found, want 7 or more", n)
	}
	if uses := f.SecretUses(); len(uses) != n {
		t.Errorf("%d of %d references are listed: %v", len(uses), n, uses)
	}
}

func fill(v reflect.Value, n *int) {
	ref := secret.Ref{Scheme: "env", Name: "A"}
	switch {
	case v.Type() == reflect.TypeFor[secret.Ref]() && v.CanSet():
		*n++
		v.Set(reflect.ValueOf(ref))
	case v.Kind() == reflect.Pointer && !v.IsNil():
		fill(v.Elem(), n)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case v.Kind() == reflect.Map:
		for _, k := range v.MapKeys() {
			if v.Type().Elem() == reflect.TypeFor[secret.Ref]() {
				*n++
				v.SetMapIndex(k, reflect.ValueOf(ref))
				continue
			}
			fill(v.MapIndex(k), n)
		}
	}
}
