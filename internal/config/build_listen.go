package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"strconv"
	"strings"
)

func (b *builder) listen(v *value) {
	if v.form != mapping {
		return
	}
	l := &b.file.Listen
	l.Public = b.address(v.at("public"))
	l.HTTP = b.address(v.at("http"))
	l.Behind = b.behind(v.at("behind"))
	for _, name := range v.at("names").many() {
		if h, ok := b.host(name); ok {
			b.take(name, h, "host")
			l.Names = append(l.Names, h)
		}
	}
	l.TLS = b.tls(v.at("tls"))
	l.SDK = b.sdk(v.at("sdk"))
	if l.TLS.Kind == TLSOff && l.Public != "" && !loopbackAddress(l.Public) && l.Behind == nil {
		b.fault(v.at("tls"), fmt.Sprintf("tls is off, but %s can be reached from other machines", l.Public),
			`listen on loopback ("127.0.0.1:8080"), name the proxy that does TLS under listen.behind, or write tls: {auto: {email: …}}`)
	}
	if l.TLS.Kind == TLSOff && l.HTTP != "" {
		b.fault(v.at("http"), "there is nothing for it to do while tls is off", "remove http")
	}
}

// address reads a listening address and claims it.
func (b *builder) address(v *value) string {
	s := v.str()
	if s == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.ParseUint(port, 10, 16)
	ip, ipErr := netip.ParseAddr(host)
	if err != nil || portErr != nil || strconv.FormatUint(n, 10) != port || host != "" && host != "localhost" && ipErr != nil {
		b.fault(v, "found "+v.shown(), `write a port or address such as ":443", "127.0.0.1:8443" or "[::1]:8443"`)
		return ""
	}
	if host == "localhost" {
		ip, s = netip.MustParseAddr("127.0.0.1"), net.JoinHostPort("127.0.0.1", port)
	}
	if n != 0 {
		b.take(v, placeOf(ip, port), "address")
	}
	return s
}

// placeOf writes an address so that two ways to write one are equal.
func placeOf(ip netip.Addr, port string) string {
	if !ip.IsValid() || ip.IsUnspecified() {
		return ":" + port
	}
	return net.JoinHostPort(ip.Unmap().String(), port)
}

func loopbackAddress(s string) bool {
	addr, err := netip.ParseAddrPort(s)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

func (b *builder) tls(v *value) TLS {
	auto, cert, key := v.at("auto"), v.at("cert"), v.at("key")
	files := cert.present() || key.present()
	switch {
	case v.form == text:
		return TLS{Kind: TLSOff}
	case v.form != mapping:
		return TLS{}
	case auto.present() && files:
		b.fault(v, "both auto and cert/key stand here", "keep one: auto for ACME, or cert and key")
	case auto.present():
		t := TLS{Kind: TLSAuto, Email: auto.at("email").str(), CA: auto.at("ca").str(), CARoot: b.optional(auto.at("ca_root"))}
		if t.CARoot != "" {
			b.pemRoots(auto.at("ca_root"), t.CARoot)
		}
		return t
	case cert.present() && key.present():
		return b.keyPair(cert, key)
	case files:
		b.fault(v, "cert and key belong together, and one of them is missing", "write {cert: ./cert.pem, key: ./key.pem}")
	case len(v.entries) == 0:
		b.fault(v, "nothing says where the certificate comes from", "write {auto: {email: ops@agency.example}}, {cert: ./cert.pem, key: ./key.pem}, or off")
	}
	return TLS{}
}

func (b *builder) optional(v *value) string {
	if v.str() == "" {
		return ""
	}
	return b.resolve(v.str())
}

func (b *builder) keyPair(cert, key *value) TLS {
	t := TLS{Kind: TLSFiles, Cert: b.optional(cert), Key: b.optional(key)}
	if t.Cert == "" || t.Key == "" {
		return t
	}
	good := b.private(key, t.Key)
	if _, err := os.Stat(t.Cert); err != nil {
		b.fault(cert, "the file cannot be opened: "+cause(err), "name a PEM file; a relative path starts at the folder of this file")
		good = false
	}
	if !good {
		return t
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		b.fault(cert, "certificate and key are not a pair that can be used", "cert is the PEM chain with the site's certificate first, key its PEM key")
	}
	return t
}

// private checks that a file that holds a secret is there and can be read by its owner only.
func (b *builder) private(v *value, path string) bool {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		b.fault(v, "the file cannot be opened: "+cause(err), "name a file that is there; a relative path starts at the folder of this file")
	case !info.Mode().IsRegular():
		b.fault(v, "this is not a regular file", "name the file itself")
	case info.Mode().Perm()&0o077 != 0:
		b.fault(v, fmt.Sprintf("others can use this file: its mode is %04o", info.Mode().Perm()), "run: chmod 600 "+v.trimmedPath())
	default:
		return true
	}
	return false
}

// trimmedPath is a file's path as written, without the scheme of a reference.
func (v *value) trimmedPath() string { return strings.TrimPrefix(v.text, "file:") }

// pemRoots reads a bundle of certificates.
func (b *builder) pemRoots(v *value, path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		b.fault(v, "the file cannot be opened: "+cause(err), "name a PEM file; a relative path starts at the folder of this file")
		return nil
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		b.fault(v, "the file holds no certificate", "name a PEM file with -----BEGIN CERTIFICATE----- blocks")
	}
	return data
}

func (b *builder) behind(v *value) *Behind {
	if v.form != mapping {
		return nil
	}
	out := &Behind{ClientIP: "X-Forwarded-For"}
	if s := v.at("client_ip").str(); s != "" {
		out.ClientIP = textproto.CanonicalMIMEHeaderKey(s)
	}
	if out.ClientIP == "Forwarded" {
		b.fault(v.at("client_ip"), "the header Forwarded is not read", "have the proxy send X-Forwarded-For and name that")
	}
	for _, item := range v.at("from").many() {
		if item.form == text {
			b.network(item, out)
		}
	}
	if from := v.at("from"); from.form == list && len(from.items) == 0 {
		b.fault(from, "the list is empty, so nobody may name the client", "name the proxy's network such as [10.0.0.0/8], or remove behind")
	}
	return out
}

func (b *builder) network(v *value, out *Behind) {
	prefix, err := netip.ParsePrefix(v.text)
	if addr, addrErr := netip.ParseAddr(v.text); addrErr == nil {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	switch {
	case err != nil || v.text == "":
		b.fault(v, "found "+v.shown(), "write a network such as 10.0.0.0/8 or an address such as 10.1.2.3")
	case prefix.Bits() == 0:
		b.fault(v, v.shown()+" is everybody, and everybody could then claim any address", "name only the network of your own proxy")
	case prefix != prefix.Masked():
		b.fault(v, v.shown()+" has bits beyond its length", "write "+prefix.Masked().String())
	default:
		out.From = append(out.From, prefix)
	}
}

// certificateNames says what ACME has no name for.
func (b *builder) certificateNames(v *value) {
	if b.file.Listen.TLS.Kind != TLSAuto {
		return
	}
	if len(b.file.Listen.Names) > 0 {
		return
	}
	for _, s := range b.file.Sites {
		if len(s.ServedAt) > 0 {
			return
		}
	}
	b.fault(v, "auto has no host name to get a certificate for", "give a site served_at: [api.shop.example], or use cert and key")
}
