package contract

import (
	"encoding/base64"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/problem"
)

const mediaHead = `"x-sallyport":{"server":"s","auth":"a","retry":"safe","effects":[]}`

// mediaDocument has an operation for each kind of body, and one for each style of parameters.
const mediaDocument = `{"openapi":"3.2.0","info":{"title":"t","version":"1"},"paths":{
  "/upload":{"post":{"operationId":"upload",` + mediaHead + `,
    "requestBody":{"required":true,"content":{"multipart/form-data":{"schema":{"type":"object","required":["file"],"properties":{
      "file":{"type":"string","format":"binary"},"note":{"type":"string","maxLength":9},"count":{"type":"integer"},"tags":{"type":"object","properties":{"a":{"type":"integer"}}}}},
      "encoding":{"file":{"contentType":"image/png, text/plain"},"tags":{"contentType":"application/json"}}}}},
    "responses":{"204":{"description":"d"}}}},
  "/order":{"post":{"operationId":"order",` + mediaHead + `,
    "requestBody":{"content":{"application/xml":{"schema":{"$ref":"#/components/schemas/Order"}}}},
    "responses":{"200":{"description":"d","content":{"application/xml":{"schema":{"$ref":"#/components/schemas/Order"}}}},"201":{"description":"d","content":{"application/xml":{"schema":{"$ref":"#/components/schemas/Order"}},"application/json":{"schema":{"$ref":"#/components/schemas/Order"}}}}}}},
  "/choice":{"post":{"operationId":"choice",` + mediaHead + `,
    "requestBody":{"content":{"application/xml":{"schema":{"$ref":"#/components/schemas/Order"}},"text/csv":{"schema":{}},"application/x-www-form-urlencoded":{"schema":{"$ref":"#/components/schemas/Order"}},"application/merge-patch+json":{"schema":{"$ref":"#/components/schemas/Order"}}}},
    "responses":{"204":{"description":"d"}}}},
  "/styles/{label}/{matrix}":{"get":{"operationId":"styles",` + mediaHead + `,"parameters":[
      {"name":"label","in":"path","required":true,"style":"label","explode":true,"schema":{"type":"array","items":{"type":"integer"}}},
      {"name":"matrix","in":"path","required":true,"style":"matrix","schema":{"type":"string"}},
      {"name":"spaces","in":"query","style":"spaceDelimited","explode":false,"schema":{"type":"array","items":{"type":"integer"}}},
      {"name":"pipes","in":"query","style":"pipeDelimited","explode":false,"schema":{"type":"array","items":{"type":"string"}}},
      {"name":"filter","in":"query","content":{"application/json":{"schema":{"type":"object","properties":{"a":{"type":"integer"}}}}}},
      {"name":"session","in":"cookie","schema":{"type":"string","maxLength":5}},
      {"name":"X-Point","in":"header","explode":true,"schema":{"type":"object","properties":{"x":{"type":"integer"},"y":{"type":"integer"}}},"x-sallyport":{"name":"point"}}],
    "responses":{"204":{"description":"d"}}}}},
  "components":{"schemas":{"Order":{"type":"object","required":["id"],"properties":{"id":{"type":"integer","xml":{"attribute":true}},"note":{"type":"string"},
    "secret":{"type":"string","x-sallyport":{"data":"secret"}},"line":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}}}}}}`

func mediaOperation(t testing.TB, id string) *Operation {
	t.Helper()
	d, err := Load("media", []byte(mediaDocument))
	if err != nil {
		t.Fatal(err)
	}
	o, ok := d.Find(id)
	if !ok {
		t.Fatalf("no operation %s", id)
	}
	return o
}

// through reads a request, checks it, and writes it again.
func through(t *testing.T, o *Operation, in Input) (Args, Output) {
	t.Helper()
	args, faults, err := o.Parse(in)
	if err != nil || len(faults) > 0 {
		t.Fatalf("parse: %v, %v", faults, err)
	}
	if faults := o.Check(args); len(faults) > 0 {
		t.Fatalf("check: %v", faults)
	}
	out, err := o.Encode(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	return args, out
}

const multipartBody = "--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n\x00\xffbytes\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"tags\"\r\nContent-Type: application/json\r\n\r\n{\"a\":5}\r\n--b--\r\n"

func TestMultipart(t *testing.T) {
	o := mediaOperation(t, "upload")
	in := Input{Path: "/upload", ContentType: `multipart/form-data; boundary=b`, Body: []byte(multipartBody)}
	args, out := through(t, o, in)
	want := map[string]any{"note": "hi", "file": base64.StdEncoding.EncodeToString([]byte("\x00\xffbytes")), "tags": tree(t, `{"a":5}`)["a"]}
	want["tags"] = tree(t, `{"a":5}`)
	if !reflect.DeepEqual(args.Tree(), want) {
		t.Errorf("args %v", args.Tree())
	}
	for _, part := range []string{"name=\"file\"; filename=\"a.txt\"", "Content-Type: text/plain", "\x00\xffbytes", `{"a":5}`} {
		if !strings.Contains(string(out.Body), part) {
			t.Errorf("%q is not in what is sent: %q", part, out.Body)
		}
	}
	again, _ := through(t, o, Input(out))
	if !reflect.DeepEqual(again.Tree(), args.Tree()) {
		t.Errorf("%q is read as %v", out.Body, again.Tree())
	}
	if second, err := o.Encode(args.Clone(), nil); err != nil || string(second.Body) != string(out.Body) || second.ContentType != out.ContentType {
		t.Errorf("the same parameters give %q, %v", second.Body, err)
	}
	for name, body := range map[string]string{"unknown part": strings.Replace(multipartBody, `name="note"`, `name="role"`, 1)} {
		in.Body = []byte(body)
		if args, faults, err := o.Parse(in); err != nil || len(faults) != 1 || faults[0].Where != "role" || args.Tree()["role"] != nil {
			t.Errorf("%s: %v %v %v", name, args.Tree(), faults, err)
		}
	}
	var p *problem.Error
	in.ContentType = "multipart/form-data"
	if _, _, err := o.Parse(in); !errors.As(err, &p) || p.Code != problem.MediaType {
		t.Errorf("without a boundary: %v", err)
	}
}

func TestXML(t *testing.T) {
	o := mediaOperation(t, "order")
	args, out := through(t, o, Input{Path: "/order", ContentType: "application/xml", Body: []byte(`<Order id="7"><note>a &amp; b</note><line><sku>x</sku></line><line><sku>y</sku></line></Order>`)})
	if want := tree(t, `{"id":7,"note":"a & b","line":[{"sku":"x"},{"sku":"y"}]}`); !reflect.DeepEqual(args.Tree(), want) {
		t.Errorf("args %v", args.Tree())
	}
	if out.ContentType != XMLType || !strings.HasSuffix(string(out.Body), `<Order id="7"><note>a &amp; b</note><line><sku>x</sku></line><line><sku>y</sku></line></Order>`) {
		t.Errorf("sent %s %s", out.ContentType, out.Body)
	}
	r, faults, err := o.CheckResponse(200, "application/xml", []byte(`<Order id="7"><note>n</note><secret>s</secret><more>1</more></Order>`), mustView(t, o, "id note"))
	if err != nil || len(faults) > 0 || !strings.HasSuffix(string(r.Body), `<Order id="7"><note>n</note></Order>`) || r.ContentType != XMLType || r.Dropped != 1 || r.Reduced != 1 || len(r.Sensitive[Secret]) != 1 {
		t.Errorf("answer %s %+v, %v, %v", r.Body, r, faults, err)
	}
	r, _, err = o.CheckResponse(201, JSONType, []byte(`{"id":7,"more":1}`), nil)
	if err != nil || string(r.Body) != `{"id":7}` {
		t.Errorf("where JSON is listed too: %s, %v", r.Body, err)
	}
	var p *problem.Error
	for name, body := range map[string]string{"entities": `<!DOCTYPE x [<!ENTITY a "b">]><Order id="7"/>`, "other element": `<Invoice id="7"/>`, "twice": `<Order id="7" id="8"/>`} {
		if _, _, err := o.Parse(Input{Path: "/order", ContentType: XMLType, Body: []byte(body)}); !errors.As(err, &p) || p.Code != problem.BadBody {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := o.CheckResponse(200, XMLType, []byte(body), nil); !errors.As(err, &p) || p.Code != problem.UpstreamMalformed {
			t.Errorf("%s in an answer: %v", name, err)
		}
	}
	if _, _, err := o.CheckResponse(200, JSONType, []byte(`{"id":7}`), nil); !errors.As(err, &p) || p.Code != problem.UpstreamMalformed {
		t.Errorf("JSON where the contract has XML: %v", err)
	}
}

// TestMediaTypeIsChosen: of several media types the provider gets the first of JSON, form,
// multipart and XML; the caller may send it under its own name too.
func TestMediaTypeIsChosen(t *testing.T) {
	o := mediaOperation(t, "choice")
	if o.RequestType != JSONType {
		t.Errorf("chosen: %s", o.RequestType)
	}
	for _, kind := range []string{"application/merge-patch+json", JSONType} {
		if _, out := through(t, o, Input{Path: "/choice", ContentType: kind, Body: []byte(`{"id":5}`)}); out.ContentType != "application/merge-patch+json" {
			t.Errorf("%s is sent as %s", kind, out.ContentType)
		}
	}
	if _, out := through(t, o, Input{Path: "/choice", ContentType: FormType, Body: []byte(`id=5`)}); string(out.Body) != `{"id":5}` {
		t.Errorf("a form is sent as %s", out.Body)
	}
	var p *problem.Error
	if _, _, err := o.Parse(Input{Path: "/choice", ContentType: XMLType, Body: []byte(`<Order id="5"/>`)}); !errors.As(err, &p) || p.Code != problem.MediaType {
		t.Errorf("XML: %v", err)
	}
}

func TestStyles(t *testing.T) {
	o := mediaOperation(t, "styles")
	header := http.Header{"Cookie": {"other=1; session=ab%20c; more=2"}, "X-Point": {"x=1,y=2"}}
	in := Input{Path: "/styles/.1.2/;matrix=m%20n", RawQuery: `spaces=1%202&pipes=a%7Cb&filter=%7B%22a%22%3A5%7D`, Header: header}
	args, out := through(t, o, in)
	want := tree(t, `{"label":[1,2],"matrix":"m n","spaces":[1,2],"pipes":["a","b"],"filter":{"a":5},"session":"ab c","point":{"x":1,"y":2}}`)
	if !reflect.DeepEqual(args.Tree(), want) {
		t.Errorf("args %v", args.Tree())
	}
	if out.Header.Get("Cookie") != "session=ab%20c" || out.Header.Get("X-Point") != "x=1,y=2" || out.Path != in.Path {
		t.Errorf("sent %s %s %v", out.Path, out.RawQuery, out.Header)
	}
	again, _ := through(t, o, Input{Path: out.Path, RawQuery: out.RawQuery, Header: out.Header})
	if !reflect.DeepEqual(again.Tree(), want) {
		t.Errorf("%s is read as %v", out.RawQuery, again.Tree())
	}
	var p *problem.Error
	for name, in := range map[string]Input{
		"cookie twice":     {Path: in.Path, Header: http.Header{"Cookie": {"session=a; session=b"}}},
		"two cookie lines": {Path: in.Path, Header: http.Header{"Cookie": {"session=a", "session=b"}}},
	} {
		if _, _, err := o.Parse(in); !errors.As(err, &p) || p.Code != problem.BadHeader {
			t.Errorf("%s: %v", name, err)
		}
	}
	header.Set("Cookie", "session=much-too-long")
	args, _, err := o.Parse(in)
	if faults := o.Check(args); err != nil || len(faults) != 1 || faults[0].Where != "session" {
		t.Errorf("a long cookie: %v, %v", faults, err)
	}
}
