package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/sdkproxy"
)

func (p *Program) ca() *cobra.Command {
	return group("ca", "Show the certificate authority of the SDK port", "  sallyport ca show", p.caShow())
}

// shownCA is what `ca show --json` prints.
type shownCA struct {
	sdkproxy.Info
	File   string `json:"file"`
	Listen string `json:"listen,omitempty"` // listen.sdk; empty: the port is off
}

func (p *Program) caShow() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "show",
		Short: "Print the certificate that SDKs on the SDK port have to trust",
		Long: "Prints the certificate of the SDK port's authority in PEM to standard output, and its fingerprint, names and end to standard error.\n" +
			"It is good for the listed host names only, and for no address, no other name and no name below one of them; its key never leaves\n" +
			"the data folder. `sallyport run` makes it when listen.sdk is in the file, and issues it anew when the connections' hosts change.\n" +
			"\n" +
			"Give it to the agent of one SDK (in Node: new HttpsProxyAgent(proxy, {ca})). Where an SDK takes no certificate, give it to one\n" +
			"process: NODE_EXTRA_CA_CERTS adds it to Node's own list; SSL_CERT_FILE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE replace the list,\n" +
			"so write it behind a copy of the system's. Never install it for the whole machine, and never set HTTPS_PROXY for a process: what\n" +
			"is not one of these names would be refused there.",
		Example: "  sallyport ca show > sallyport-ca.pem\n  sallyport ca show --json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			file, _, err := p.places()
			if err != nil {
				return err
			}
			info, err := sdkproxy.Show(file.SDKAuthority)
			if errors.Is(err, sdkproxy.ErrNone) {
				return found("there is no authority yet in "+file.SDKAuthority, "write listen: {sdk: \"127.0.0.1:8445\"} in the file and start the gate: sallyport run")
			}
			if err != nil {
				return because(err, "read the authority", "")
			}
			return p.printCA(info, shownCA{Info: info, File: file.SDKAuthority + "/ca.pem", Listen: sdkAddress(file.Listen.SDK)})
		},
	})
}

func sdkAddress(c *config.SDK) string {
	if c == nil {
		return ""
	}
	return c.Address
}

func (p *Program) printCA(info sdkproxy.Info, shown shownCA) error {
	err := p.facts(shown, func() { p.line("%s", strings.TrimSuffix(info.PEM, "\n")) })
	if err != nil || p.json {
		return err
	}
	fmt.Fprintf(p.Err, "SHA-256 %s\ngood for %s\nuntil %s\n", info.Fingerprint, strings.Join(info.Names, ", "), info.Ends.Format(time.DateOnly))
	if shown.Listen == "" {
		fmt.Fprintln(p.Err, "the file has no listen.sdk: nothing answers with it")
	}
	return nil
}
