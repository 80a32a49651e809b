package provider_test

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/provider"
)

// checker compares one operation of a contract with the official file and keeps what
// it finds.
type checker struct {
	ours     tree // the whole contract
	official *call
	reading  bool // an answer: what the provider may send, we must understand
	pack     *provider.Pack
	found    []string
	seen     map[string]bool
}

func (c *checker) add(where, format string, args ...any) {
	c.found = append(c.found, where+": "+fmt.Sprintf(format, args...))
}

// checkOperation is everything that is wrong with the operation at method and path.
func checkOperation(pack *provider.Pack, contract tree, method, path string, official *call) []string {
	op := object(object(object(contract["paths"])[path])[method])
	c := &checker{ours: contract, official: official, pack: pack, seen: make(map[string]bool)}
	c.checkURL(path, op)
	c.checkParams(path, append(list(object(object(contract["paths"])[path])["parameters"]), list(op["parameters"])...))
	c.checkBody(op)
	c.reading = true
	c.checkAnswers(op)
	return c.found
}

// checkURL compares the whole URL, because official files put the same prefix now into
// the server and now into the path.
func (c *checker) checkURL(path string, op tree) {
	server := c.pack.Servers[fmt.Sprint(extension(op)["server"])]
	for _, ours := range server.URL {
		for _, theirs := range c.official.servers {
			if sameURL(ours+path, strings.TrimSuffix(strings.TrimSuffix(theirs, "/")+c.official.path, "/")) {
				return
			}
		}
	}
	c.add("url", "%v%s is not %v%s", server.URL, path, c.official.servers, c.official.path)
}

// sameURL compares segment by segment; a parameter stands for any one segment of the
// official side, whatever its name.
func sameURL(ours, theirs string) bool {
	a, b := strings.Split(ours, "/"), strings.Split(theirs, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		_, tailA := cutParam(a[i])
		paramB, tailB := cutParam(b[i])
		if a[i] == b[i] || paramB && tailA == tailB {
			continue
		}
		// a literal of ours may stand for a parameter of theirs (json for {format})
		if paramB && !strings.Contains(a[i], "{") && tailB == "" {
			continue
		}
		return false
	}
	return true
}

// cutParam splits {id}:verb and {id}.json into "is a parameter" and the rest.
func cutParam(segment string) (bool, string) {
	if strings.HasPrefix(segment, "{") {
		if end := strings.IndexByte(segment, '}'); end > 0 {
			return true, segment[end+1:]
		}
	}
	return false, segment
}

func (c *checker) checkParams(path string, ours []tree) {
	for _, p := range ours {
		p = deref(c.ours, p)
		in, name := fmt.Sprint(p["in"]), fmt.Sprint(p["name"])
		where := in + "." + name
		if in == "path" {
			if !strings.Contains(path, "{"+name+"}") {
				c.add(where, "is not in the path %s", path)
			}
			continue
		}
		theirs := c.officialParam(in, name)
		if c.excused(where, p, theirs != nil) || theirs == nil {
			continue
		}
		c.compare(where, object(p["schema"]), []tree{paramSchema(theirs)})
	}
	for _, p := range c.official.params {
		in, name := fmt.Sprint(p["in"]), fmt.Sprint(p["name"])
		if p["required"] != true || in == "path" || c.gateSets(name) {
			continue
		}
		if !slices.ContainsFunc(ours, func(o tree) bool {
			o = deref(c.ours, o)
			return o["in"] == in && strings.EqualFold(fmt.Sprint(o["name"]), name) && (o["required"] == true || differs(o))
		}) {
			c.add(in+"."+name, "is required officially and not required in ours")
		}
	}
}

// differs reports whether a parameter of ours says that the official file is wrong about it.
func differs(p tree) bool {
	for _, from := range []tree{p, object(p["schema"])} {
		if note, ok := extension(from)["official"].(string); ok && strings.HasPrefix(note, "differs:") {
			return true
		}
	}
	return false
}

func paramSchema(p tree) tree {
	if s := object(p["schema"]); s != nil {
		return s
	}
	for _, m := range object(p["content"]) {
		return object(object(m)["schema"])
	}
	return tree{}
}

func (c *checker) officialParam(in, name string) tree {
	for _, p := range c.official.params {
		theirs := fmt.Sprint(p["name"])
		if p["in"] == in && (theirs == name || in == "header" && strings.EqualFold(theirs, name)) {
			return p
		}
	}
	return nil
}

// gateSets reports whether the gate itself sends the header or field.
func (c *checker) gateSets(name string) bool {
	ours := []string{"Authorization", "Content-Type", "Accept", c.pack.Version.Header, c.pack.Idempotency.Header}
	var add func(provider.Auth)
	add = func(a provider.Auth) {
		ours = append(ours, a.Name)
		for _, also := range a.Also {
			add(also)
		}
	}
	for _, a := range c.pack.Auth {
		add(a)
	}
	return slices.ContainsFunc(ours, func(o string) bool { return strings.EqualFold(o, name) })
}

func (c *checker) checkBody(op tree) {
	for media, m := range object(object(op["requestBody"])["content"]) {
		theirs, ok := c.official.bodies[media]
		if !ok {
			c.add("body", "the official file takes no %s", media)
			continue
		}
		c.compare("body", object(object(m)["schema"]), []tree{theirs})
		return
	}
	for media, theirs := range c.official.bodies {
		for _, s := range shapes(c.official.doc, theirs) {
			if len(s.required) > 0 {
				c.add("body", "the official file requires fields in a %s body; ours takes no body", media)
				return
			}
		}
	}
}

func (c *checker) checkAnswers(op tree) {
	for status, r := range object(op["responses"]) {
		schema := jsonSchema(deref(c.ours, object(r)))
		if schema == nil {
			continue
		}
		where := "answer " + status
		theirs := c.officialAnswers(status)
		if c.excused(where, schema, len(theirs) > 0) || len(theirs) == 0 {
			continue
		}
		c.compare(where, schema, theirs)
	}
}

// officialAnswers are the official schemas for a status of ours: the same status, else
// 2XX or default for a success, and any failure of theirs for a failure of ours.
func (c *checker) officialAnswers(status string) []tree {
	if same := c.official.responses[status]; same != nil {
		return []tree{same}
	}
	var theirs []tree
	for _, s := range sorted(c.official.responses) {
		upper := strings.ToUpper(s)
		failure := strings.HasPrefix(upper, "4") || strings.HasPrefix(upper, "5")
		fits := upper == "DEFAULT" || failure
		if strings.HasPrefix(status, "2") {
			fits = upper == "DEFAULT" || upper == "2XX"
		}
		if t := c.official.responses[s]; t != nil && fits {
			theirs = append(theirs, t)
		}
	}
	return theirs
}

// excused handles x-sallyport.official of a field: "unlisted: why" for one that the
// official file lacks, "differs: why" for one whose official type is known to be wrong.
// True: nothing more is to be compared.
func (c *checker) excused(where string, schema tree, listed bool) bool {
	note := ""
	for _, from := range []tree{schema, object(schema["schema"]), deref(c.ours, schema)} {
		if s, ok := extension(from)["official"].(string); ok && note == "" {
			note = s
		}
	}
	kind, why, _ := strings.Cut(note, ":")
	switch {
	case note == "" && listed:
		return false
	case note == "":
		c.add(where, "is not in the official file; take it out, or say why under x-sallyport.official (unlisted: …)")
	case len(strings.TrimSpace(why)) < 10:
		c.add(where, "x-sallyport.official is %q; write unlisted: or differs: and the reason", note)
	case kind == "unlisted" && listed:
		c.add(where, "is said to be unlisted, but the official file lists it")
	case kind == "differs" && !listed:
		c.add(where, "is said to differ, but the official file does not list it")
	case kind != "unlisted" && kind != "differs":
		c.add(where, "x-sallyport.official begins with %q; write unlisted or differs", kind)
	}
	return true
}

func extension(at tree) tree { return object(at["x-sallyport"]) }
