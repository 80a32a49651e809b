// Command vaultserver is a real HashiCorp Vault in memory, for tests: sealed and not
// initialised when it starts, as a new one is. It is built from Vault's published modules,
// because tests run where only Go modules, Debian and npm can be reached.
//
// It listens on loopback only, prints its address as the first line of standard output,
// and forgets everything when it ends. Mounts that may be made: kv (v1 and v2), leased
// (every read makes a lease), transit. Ways to log in: token, approle, jwt, kubernetes.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	jwtauth "github.com/hashicorp/vault-plugin-auth-jwt"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	cert := flag.String("cert", "", "PEM `FILE` of the certificate; without it the server speaks plain http")
	key := flag.String("key", "", "PEM `FILE` of the certificate's key")
	addr := flag.String("listen", "127.0.0.1:0", "`ADDRESS` to listen on")
	flag.Parse()
	if err := run(*addr, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, "vaultserver:", err)
		os.Exit(1)
	}
}

func run(addr, cert, key string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	core, err := newCore()
	if err != nil {
		return err
	}
	l, err := listen(addr, cert, key)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core}), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Println(l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return core.Shutdown()
}

func listen(addr, cert, key string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil || cert == "" {
		return l, err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}

func newCore() (*vault.Core, error) {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, log)
	if err != nil {
		return nil, err
	}
	return vault.NewCore(&vault.CoreConfig{
		Physical: storage, Logger: log, DisableMlock: true, BuiltinRegistry: nothing{},
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory, "leased": vault.LeasedPassthroughBackendFactory, "transit": transit.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory, "jwt": jwtauth.Factory, "kubernetes": kubeauth.Factory},
	})
}

// nothing is a registry without further plug-ins.
type nothing struct{}

func (nothing) Contains(string, consts.PluginType) bool { return false }

func (nothing) Get(string, consts.PluginType) (func() (interface{}, error), bool) { return nil, false }

func (nothing) Keys(consts.PluginType) []string { return nil }

func (nothing) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Unknown, false
}
