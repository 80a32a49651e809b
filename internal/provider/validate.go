package provider

import (
	"fmt"
	"net/url"
	"regexp"
	"sallyport/internal/webhook/scheme"
	"slices"
	"strings"
	"time"
)

// FunctionNames are what a provider can be for.
func FunctionNames() []string {
	return []string{"payments", "subscriptions", "login", "maps", "messages", "verification", "calls", "polls", "bots"}
}

// Subjects are the compliance regimes that a claim can be about.
func Subjects() []string {
	return []string{"PCI DSS", "SOC 1", "SOC 2", "SOC 3", "ISO 27001", "ISO 27017", "ISO 27018", "HIPAA", "GDPR", "DPF", "APEC CBPR", "P2PE"}
}

// Evidences are the kinds of evidence, strongest first.
func Evidences() []string { return []string{"official code", "documentation", "third party"} }

// Schemes are the names of webhook verification schemes.
func Schemes() []string {
	return append(scheme.Kinds(), "none")
}

var (
	idPattern     = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	fieldPattern  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	headerPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
	hostPattern   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$`)
	fieldTemplate = regexp.MustCompile(`\{[^{}]*\}`)
)

// faults collects what is wrong with a pack.
type faults struct{ list []error }

func (f *faults) add(format string, args ...any) {
	f.list = append(f.list, fmt.Errorf(format, args...))
}

func (f *faults) oneOf(where, value string, allowed []string) {
	if !slices.Contains(allowed, value) {
		f.add("%s: %q is not known; write one of %s", where, value, strings.Join(allowed, ", "))
	}
}

func (f *faults) text(where, value string) {
	if strings.TrimSpace(value) == "" {
		f.add("%s is empty", where)
	}
	if strings.Contains(strings.ToLower(value), "unverified") {
		f.add("%s holds an unverified statement; leave out what has no source", where)
	}
}

func (f *faults) day(where, value string) {
	if _, err := time.Parse(time.DateOnly, value); err != nil {
		f.add("%s: %q is not a date; write the day like 2026-11-23", where, value)
	}
}

func (f *faults) pattern(where, value string) {
	if _, err := regexp.Compile(value); err != nil {
		f.add("%s: %q is not an RE2 pattern: %w", where, value, err)
	} else if !strings.HasPrefix(value, "^") || !strings.HasSuffix(value, "$") {
		f.add("%s: the pattern %q is not anchored; begin it with ^ and end it with $", where, value)
	}
}

func (f *faults) https(where, value string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		f.add("%s: %q is not an https URL without user, query and fragment", where, value)
	case !hostPattern.MatchString(u.Host):
		f.add("%s: %q is not a public host name in lower case without a port", where, u.Host)
	case strings.HasSuffix(value, "/"):
		f.add("%s: %q ends with a slash; the contract's paths begin with one", where, value)
	}
}

// Validate says everything that is wrong with the pack; a pack that came from a
// Catalog has passed it. It changes nothing.
func (p *Pack) Validate() []error {
	f := &faults{}
	p.checkHead(f)
	p.checkServers(f)
	p.checkCredentials(f)
	p.checkAuth(f)
	p.checkVersion(f)
	p.checkLimits(f)
	p.checkSigns(f)
	p.checkGuards(f)
	p.checkHeaders(f)
	p.checkWebhook(f)
	p.checkSurface(f)
	p.checkKeyShapes(f)
	p.checkTokenEndpoints(f)
	p.checkBotCheck(f)
	p.checkProbes(f)
	p.checkLogin(f)
	p.checkGrant(f)
	p.checkFacts(f)
	p.checkPrices(f)
	p.checkContract(f)
	return f.list
}

func (p *Pack) checkHead(f *faults) {
	if !idPattern.MatchString(p.ID) {
		f.add("id: %q is not a word of lower-case letters, digits and single hyphens", p.ID)
	}
	f.text("name", p.Name)
	f.text("summary", p.Summary)
	f.text("format", p.Format)
	f.day("checked", p.Checked)
	if u, err := url.Parse(p.Docs); (err != nil || u.Scheme != "https" || u.Host == "") && (p.Imported == nil || p.Docs != "") {
		f.add("docs: %q is not an https URL", p.Docs)
	}
	if i := p.Imported; i != nil {
		f.text("imported.file", i.File)
		f.text("imported.family", i.Family)
		f.day("imported.on", i.On)
	}
	if len(p.Functions) == 0 && p.Imported == nil {
		f.add("functions: none given; write at least one of %s", strings.Join(FunctionNames(), ", "))
	}
	for i, fn := range p.Functions {
		f.oneOf(fmt.Sprintf("functions[%d]", i), fn, FunctionNames())
	}
}

func (p *Pack) checkServers(f *faults) {
	if len(p.Servers) == 0 && (p.Login == nil || p.Login.Issuer != "") { // the file names the issuer
		f.add("servers: none given")
	}
	for _, name := range sortedKeys(p.Servers) {
		where := "servers." + name
		if !idPattern.MatchString(name) {
			f.add("%s: the name is not a word of lower-case letters, digits and single hyphens", where)
		}
		if len(p.Servers[name].URL) == 0 {
			f.add("%s: no url for any mode", where)
		}
		for _, mode := range sortedKeys(p.Servers[name].URL) {
			f.oneOf(where+".url", string(mode), []string{string(Live), string(Sandbox)})
			f.https(where+".url."+string(mode), p.Servers[name].URL[mode])
		}
	}
}

func (p *Pack) checkVersion(f *faults) {
	v := p.Version
	f.text("version.source", v.Source)
	if v.Pattern != "" {
		f.pattern("version.pattern", v.Pattern)
	}
	if v.Header == "" && v.Path == "" && v.Note == "" {
		f.add("version: neither a header nor a path prefix nor a note says how the version is pinned")
	}
	if v.Header == "" {
		return
	}
	if !headerPattern.MatchString(v.Header) {
		f.add("version.header: %q is not a header name", v.Header)
	}
	if v.Pattern == "" || v.Default == "" {
		f.add("version: a version header needs a pattern and a default")
	} else if re, err := regexp.Compile(v.Pattern); err == nil && !re.MatchString(v.Default) {
		f.add("version.default: %q does not match version.pattern %q", v.Default, v.Pattern)
	}
}

func (p *Pack) checkSurface(f *faults) {
	f.oneOf("surface.through", p.Surface.Through, []string{"gate", "page", "both"})
	f.text("surface.gate", p.Surface.Gate)
	if p.Surface.Through != "gate" {
		f.text("surface.page", p.Surface.Page)
	}
	for i, s := range p.Surface.Scripts {
		f.https(fmt.Sprintf("surface.scripts[%d]", i), s)
	}
	for i, pub := range p.Public {
		where := fmt.Sprintf("public[%d]", i)
		if !fieldPattern.MatchString(pub.Name) {
			f.add("%s.name: %q is not a word of lower-case letters, digits and _", where, pub.Name)
		}
		f.text(where+".title", pub.Title)
		if pub.Pattern != "" {
			f.pattern(where+".pattern", pub.Pattern)
		}
	}
}

func (p *Pack) checkFacts(f *faults) {
	fact := func(where string, x Fact) {
		f.text(where+".statement", x.Statement)
		f.text(where+".source", x.Source)
		f.day(where+".date", x.Date)
		f.oneOf(where+".evidence", x.Evidence, Evidences())
		if x.Since != "" {
			f.day(where+".since", x.Since)
		}
	}
	if p.Caching != nil {
		fact("caching", *p.Caching)
	}
	for i, x := range p.Regions {
		fact(fmt.Sprintf("regions[%d]", i), x)
	}
	for i, x := range p.Notes {
		fact(fmt.Sprintf("notes[%d]", i), x)
	}
	for i, x := range p.Compliance {
		f.oneOf(fmt.Sprintf("compliance[%d].subject", i), x.Subject, Subjects())
		fact(fmt.Sprintf("compliance[%d]", i), x.Fact)
	}
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
