package sdkproxy

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"sallyport/internal/egress"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

func TestRoutes(t *testing.T) {
	packs := map[string]*provider.Pack{
		"pay": {ID: "pay", Servers: map[string]provider.Server{"api": {URL: map[provider.Mode]string{provider.Live: "https://api.pay.example", provider.Sandbox: "https://api.sandbox.pay.example"}}}},
		"sms": {ID: "sms", Servers: map[string]provider.Server{
			"a": {URL: map[provider.Mode]string{provider.Live: "https://a.sms.example/v1/", provider.Sandbox: "https://a.sms.example/v1"}},
			"b": {URL: map[provider.Mode]string{provider.Live: "https://b.sms.example:443"}},
		}},
		"odd": {ID: "odd", Servers: map[string]provider.Server{
			"a": {URL: map[provider.Mode]string{provider.Live: "https://odd.example:8443"}}, "b": {URL: map[provider.Mode]string{provider.Live: "https://192.0.2.1"}},
			"c": {URL: map[provider.Mode]string{provider.Live: "https://UPPER.example"}}, "d": {URL: map[provider.Mode]string{provider.Live: "https://localhost"}},
		}},
	}
	find := func(id string) (*provider.Pack, error) {
		if p := packs[id]; p != nil {
			return p, nil
		}
		return nil, errors.New("no such provider")
	}
	conn := func(p string, m provider.Mode, backend ...string) *site.Connection {
		return &site.Connection{Provider: p, Mode: m, Backend: backend}
	}
	all := conn("sms", provider.Sandbox)
	all.BackendAll = true
	sites := []*site.Site{
		{Name: "club", Connections: map[string]*site.Connection{"pay": conn("pay", provider.Live, "x"), "none": conn("pay", provider.Sandbox), "lost": conn("gone", provider.Live, "x"), "odd": conn("odd", provider.Live, "x")}},
		{Name: "shop", Connections: map[string]*site.Connection{"pay": conn("pay", provider.Live, "x"), "test": conn("pay", provider.Mock, "x"), "sms": all, "try": conn("sms", provider.Mock, "x")}},
	}
	got := Routes(sites, find)
	want := map[string][]egress.Target{
		"api.pay.example":         {{Site: "club", Connection: "pay"}, {Site: "shop", Connection: "pay"}},
		"api.sandbox.pay.example": {{Site: "shop", Connection: "test"}},
		"a.sms.example":           {{Site: "shop", Connection: "sms", Base: "/v1"}, {Site: "shop", Connection: "try", Base: "/v1"}},
		"b.sms.example":           {{Site: "shop", Connection: "try"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("routes:\n%v\nwant\n%v", got, want)
	}
	if n := Names(got); !slices.IsSorted(n) || len(n) != 4 {
		t.Errorf("names: %v", n)
	}
}
