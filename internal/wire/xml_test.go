package wire

import (
	"errors"
	"strings"
	"testing"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// petSchema has one of each thing that OpenAPI's xml object says.
const petSchema = `{"type":"object","xml":{"name":"pet","namespace":"http://a.example/pet"},"properties":{
	"id":{"type":"integer","xml":{"attribute":true}},
	"name":{"type":"string"},
	"price":{"type":"number","xml":{"name":"cost"}},
	"sold":{"type":"boolean"},
	"photos":{"type":"array","items":{"type":"string","xml":{"name":"photo"}}},
	"notes":{"type":"array","items":{"type":"string"}},
	"tags":{"type":"array","xml":{"wrapped":true},"items":{"type":"object","xml":{"name":"tag"},"properties":{"label":{"type":"string","xml":{"nodeType":"text"}},"rank":{"type":"integer","xml":{"attribute":true}}}}},
	"aliens":{"type":"array","xml":{"name":"others","wrapped":true},"items":{"type":"string"}},
	"owner":{"type":["object","null"],"xml":{"prefix":"o","namespace":"http://a.example/owner"},"properties":{"name":{"type":"string"}}}}}`

func readXML(t *tape.Tape, body string, s schema.Shape) error {
	var r Reader
	var b tape.Builder
	b.Start(t, tape.Limits{})
	if err := r.XML(&b, []byte(body), "", s); err != nil {
		return err
	}
	return b.Done()
}

func TestXML(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"all", `<?xml version="1.0" encoding="UTF-8"?>
			<pet xmlns="http://a.example/pet" id="7"> <name>Rex &amp; &#x46;</name><cost>1.50</cost><sold>true</sold><photo>a</photo><photo>b</photo><notes>5</notes>
			<tags><tag rank="1">x</tag><tag>y</tag></tags><others><others>z</others></others><o:owner xmlns:o="http://a.example/owner"><o:name>Eve</o:name></o:owner></pet>`,
			`{"id":7,"name":"Rex & F","price":1.50,"sold":true,"photos":["a","b"],"notes":["5"],"tags":[{"rank":1,"label":"x"},{"label":"y"}],"aliens":["z"],"owner":{"name":"Eve"}}`},
		{"elements of one name apart", `<pet xmlns="http://a.example/pet"><photo>a</photo><sold>false</sold><photo>b</photo></pet>`, `{"photos":["a","b"],"sold":false}`},
		{"white space in text stays", `<pet xmlns="http://a.example/pet"><name> a
b </name></pet>`, `{"name":" a\u000ab "}`},
		{"CDATA", `<pet xmlns="http://a.example/pet"><name><![CDATA[a<b]]>&gt;</name></pet>`, `{"name":"a<b>"}`},
		{"empty", `<pet xmlns="http://a.example/pet"><name/><tags/><aliens/></pet>`, `{"name":"","tags":[],"{http://a.example/pet}aliens":""}`},
		{"long CDATA and comments", `<pet xmlns="http://a.example/pet"><!-- don't "` + strings.Repeat(`a="b" 'c' `, 20_000) + `--><name><![CDATA[` + strings.Repeat(`it's "x"=`, 3) + `]]></name></pet>`, `{"name":"it's \"x\"=it's \"x\"=it's \"x\"="}`},
		{"nil", `<pet xmlns="http://a.example/pet"><o:owner xmlns:o="http://a.example/owner" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/></pet>`, `{"owner":null}`},
		{"another prefix", `<p:pet xmlns:p="http://a.example/pet"><p:name>x</p:name></p:pet>`, `{"name":"x"}`},
		{"unknown", `<pet xmlns="http://a.example/pet" role="admin"><price>1</price><Name>x</Name><name xmlns="">y</name><new a="1"><b/></new>text</pet>`,
			`{"@role":"admin","{http://a.example/pet}price":"1","Name":"x","{}name":"y","new":{"@a":"1","b":""},"#text":"text"}`},
		{"not of its type", `<pet xmlns="http://a.example/pet" id="x"><cost> 1 </cost><sold>1</sold></pet>`, `{"id":"x","price":" 1 ","sold":"1"}`},
	}
	s := schemaOf(t, petSchema)
	var w Writer
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got, again tape.Tape
			if err := readXML(&got, tt.body, s); err != nil {
				t.Fatal(err)
			}
			if text := string(got.AppendJSON(nil, 0)); text != tt.want {
				t.Fatalf("read\n%s\nwant\n%s", text, tt.want)
			}
			if strings.Contains(tt.want, `"@`) || strings.Contains(tt.want, `"{`) {
				return
			}
			out, err := w.XML(nil, &got, 0, "", s)
			if err != nil {
				t.Fatal(err)
			}
			if err := readXML(&again, string(out), s); err != nil || !same(&got, &again) {
				t.Errorf("written %s, read as %s, %v", out, again.AppendJSON(nil, 0), err)
			}
		})
	}
}

func TestXMLRefuses(t *testing.T) {
	wrap := func(s string) string { return `<pet xmlns="http://a.example/pet">` + s + `</pet>` }
	tests := []struct{ name, body, want string }{
		{"DOCTYPE", `<!DOCTYPE pet [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + wrap(""), "the XML has a DOCTYPE or another declaration"},
		{"entity", wrap(`<name>&a;</name>`), "the XML is not well-formed"},
		{"instruction", `<?php x?>` + wrap(""), "the XML has a processing instruction"},
		{"instruction inside", wrap(`<?xml version="1.0"?>`), "the XML has a processing instruction"},
		{"comment in text", wrap(`<name>adm<!-- -->in</name>`), "the XML has a comment inside of text, which parsers read differently"},
		{"encoding", `<?xml version="1.0" encoding="UTF-7"?>` + wrap(""), "the XML is not well-formed"},
		{"version", `<?xml version="1.1"?>` + wrap(""), "the XML is not well-formed"},
		{"byte order mark", "\xef\xbb\xbf" + wrap(""), "the XML has text beside its element"},
		{"invalid UTF-8", wrap("<name>\xff</name>"), "the XML is not well-formed"},
		{"NUL", wrap("<name>&#0;</name>"), "the XML is not well-formed"},
		{"two elements", wrap("") + wrap(""), "the XML has two elements at the top"},
		{"text behind", wrap("") + "x", "the XML has text beside its element"},
		{"not closed", `<pet xmlns="http://a.example/pet">`, "the XML is not one complete element"},
		{"closed by another", `<pet xmlns="http://a.example/pet"><name></pet></name>`, "the XML ends an element by another name"},
		{"closed by another prefix", `<a:pet xmlns:a="http://a.example/pet" xmlns:b="http://b.example"></b:pet>`, "the XML ends an element by another name"},
		{"nothing", ``, "the XML is not one complete element"},
		{"attribute twice", `<pet xmlns="http://a.example/pet" id="1" id="2"/>`, "the XML has an attribute twice"},
		{"attribute twice by prefix", `<pet xmlns="http://a.example/pet" xmlns:a="u" xmlns:b="u" a:x="1" b:x="2"/>`, "the XML has an attribute twice"},
		{"prefix twice", `<pet xmlns="http://a.example/pet" xmlns:a="u" xmlns:a="v"/>`, "the XML has an attribute twice"},
		{"no quotes", `<pet xmlns="http://a.example/pet" id=1/>`, "the XML is not well-formed"},
		{"unknown prefix", wrap(`<x:name/>`), "the XML uses a prefix that it does not declare"},
		{"two colons", wrap(`<x:y:name/>`), "the XML is not well-formed"},
		{"line break in an attribute", "<pet xmlns=\"http://a.example/pet\" id=\"1\n\"/>", "the XML has a line break or tab in an attribute; write &#10; or &#9;"},
		{"another root", `<dog xmlns="http://a.example/pet"/>`, `the XML element is "dog"; want pet`},
		{"another namespace", `<pet/>`, `the XML element is "pet"; want pet`},
		{"twice", wrap(`<name>a</name><name>b</name>`), "the XML element name stands 2 times"},
		{"stranger in a list", wrap(`<tags><tag/><dog/></tags>`), `the XML element "dog" stands in a list of tag`},
		{"attribute of a list", wrap(`<tags a="1"/>`), `the XML element "tags" has text or attributes; it is a list`},
		{"deep", strings.Repeat(`<a>`, 70), "the XML is nested too deeply"},
		{"many", wrap(strings.Repeat(`<photo/>`, 10_001)), "the XML has too many elements"},
		{"many attributes", wrap(`<name ` + strings.Repeat(`a="" `, 10_001) + `/>`), "the XML has too many elements"},
	}
	s := schemaOf(t, petSchema)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got tape.Tape
			err := readXML(&got, tt.body, s)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != problem.BadBody || p.Detail != tt.want {
				t.Errorf("%v; want %s", err, tt.want)
			}
		})
	}
}
