package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/multipart"
	"net/textproto"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/problem"
	"sallyport/internal/tape"
)

const uploadSchema = `{"type":"object","required":["file"],"properties":{
	"file":{"type":"string","format":"binary"},
	"pages":{"type":"array","items":{"type":"string","format":"binary"}},
	"purpose":{"type":"string"},"count":{"type":"integer"},
	"labels":{"type":"array","items":{"type":"string"}},
	"file_link_data":{"type":"object","properties":{"create":{"type":"boolean"},"metadata":{"type":"object","additionalProperties":{"type":"string"}},"steps":{"type":"array","items":{"type":"integer"}}}},
	"details":{"type":"object","properties":{"n":{"type":"integer"},"x":{"type":["null","string"]}}},
	"rows":{"type":"array","items":{"type":"object","properties":{"n":{"type":"integer"}}}}}}`

func uploads(t testing.TB) *Multipart {
	t.Helper()
	m, err := NewMultipart(schemaOf(t, uploadSchema), []Field{
		{Name: "file", Style: Repeat, File: true, Types: []string{"application/pdf", "image/*"}, Max: 1000},
		{Name: "pages", Style: Repeat, File: true},
		{Name: "file_link_data", Style: Brackets},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// crlf writes a body as it stands in the tables, with line feeds.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const disposition = "Content-Disposition: form-data; name="

func readParts(r *Reader, t *tape.Tape, body, boundary string, m *Multipart) ([]File, error) {
	var b tape.Builder
	b.Start(t, tape.Limits{})
	files, err := r.Multipart(&b, []byte(body), boundary, m)
	if err != nil {
		return nil, err
	}
	return files, b.Done()
}

func TestMultipart(t *testing.T) {
	m := uploads(t)
	body := crlf("--x\n" + disposition + "\"purpose\"\n\nline one\nline two\n--x\n" +
		disposition + "\"file\"; filename=\"a ü.pdf\"\nContent-Type: application/pdf\n\n\x00\xff\nbytes\n--x\n" +
		"content-disposition:form-data;name=count\ncontent-type:text/plain; charset=utf-8\n\n5\n--x\n" +
		disposition + "\"pages\"; filename=\"1\"\n\n1\n--x\n" + disposition + "\"pages\"; filename=\"\"\nContent-Type: image/png\n\n\n--x\n" +
		disposition + "\"labels\"\n\na\n--x\n" + disposition + "\"labels\"\n\n\n--x\n" +
		disposition + "\"file_link_data[create]\"\n\ntrue\n--x\n" + disposition + "\"file_link_data[metadata][a b]\"\n\nc\n--x\n" + disposition + "\"file_link_data[steps][]\"\n\n7\n--x\n" +
		disposition + "\"details\"\nContent-Type: application/json\n\n{\"n\":1,\"x\":null}\n--x\n" +
		disposition + "\"rows\"\nContent-Type: application/json\n\n{\"n\":1}\n--x\n" + disposition + "\"rows\"\n\n{\"n\":2}\n--x\n" +
		disposition + "\"role\"\n\nadmin\n--x\n" + disposition + "\"labels[0]\"\n\nb\n--x--\n")
	want := `{"purpose":"line one\u000d\u000aline two","file":"` + base64.StdEncoding.EncodeToString([]byte("\x00\xff\r\nbytes")) + `","count":5,"pages":["MQ==",""],"labels":["a",""],` +
		`"file_link_data":{"create":true,"metadata":{"a b":"c"},"steps":[7]},"details":{"n":1,"x":null},"rows":[{"n":1},{"n":2}],"role":"admin","labels[0]":"b"}`
	var r Reader
	var w Writer
	var got, again tape.Tape
	files, err := readParts(&r, &got, body, "x", m)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got.AppendJSON(nil, 0)); text != want {
		t.Fatalf("read\n%s\nwant\n%s", text, want)
	}
	if want := []File{{"file", 0, "a ü.pdf", "application/pdf"}, {"pages", 0, "1", ""}, {"pages", 1, "", "image/png"}}; !reflect.DeepEqual(files, want) {
		t.Errorf("files %v", files)
	}
	out, boundary, err := w.Multipart(nil, &got, 0, m, files)
	if err != nil {
		t.Fatal(err)
	}
	if misfits := w.MultipartMisfits(&got, 0, m, files); len(misfits) > 0 {
		t.Error(misfits)
	}
	files2, err := readParts(&r, &again, string(out), boundary, m)
	if err != nil || !same(&got, &again) || files2[0] != files[0] || len(files2) != 3 {
		t.Errorf("written %s, read as %s %v, %v", out, again.AppendJSON(nil, 0), files2, err)
	}
	if out2, boundary2, _ := w.Multipart(nil, &again, 0, m, files); boundary != boundary2 || string(out) != string(out2) {
		t.Error("the same value gave other bytes")
	}
	standardLibraryReads(t, out, boundary)
}

// standardLibraryReads: what is written is a multipart body to mime/multipart as well.
func standardLibraryReads(t *testing.T, body []byte, boundary string) {
	t.Helper()
	mr := multipart.NewReader(bytes.NewReader(body), boundary)
	found := map[string]string{}
	for {
		p, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(p)
		found[p.FormName()+" "+p.FileName()+" "+p.Header.Get("Content-Type")] = string(content)
	}
	for name, want := range map[string]string{"file a ü.pdf application/pdf": "\x00\xff\r\nbytes", "file_link_data[create]  ": "true", "details  application/json": `{"n":1,"x":null}`} {
		if found[name] != want {
			t.Errorf("%s: %q in %q", name, found[name], found)
		}
	}
}

// TestMultipartOfTheStandardLibrary: what Go's own writer makes is read.
func TestMultipartOfTheStandardLibrary(t *testing.T) {
	var body bytes.Buffer
	mw := multipart.NewWriter(&body)
	part, _ := mw.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="x.png"`}, "Content-Type": {"image/png"}})
	_, _ = part.Write([]byte("\r\n--\r\n"))
	_ = mw.WriteField("purpose", "identity_document")
	_ = mw.WriteField("file_link_data[steps][0]", "1")
	_ = mw.Close()
	boundary, err := Boundary(mw.FormDataContentType())
	if err != nil {
		t.Fatal(err)
	}
	var r Reader
	var got tape.Tape
	if _, err := readParts(&r, &got, body.String(), boundary, uploads(t)); err != nil {
		t.Fatal(err)
	}
	if text := string(got.AppendJSON(nil, 0)); text != `{"file":"DQotLQ0K","purpose":"identity_document","file_link_data":{"steps":[1]}}` {
		t.Error(text)
	}
}

func TestMultipartRefuses(t *testing.T) {
	one := func(head, content string) string { return crlf("--x\n" + head + "\n\n" + content + "\n--x--\n") }
	text := disposition + "\"purpose\""
	tests := []struct{ name, body, want string }{
		{"nothing", "", "the multipart body does not begin with the boundary"},
		{"preamble", "hello\r\n" + one(text, "a"), "the multipart body does not begin with the boundary"},
		{"line first", "\r\n" + one(text, "a"), "the multipart body does not begin with the boundary"},
		{"epilogue", one(text, "a") + "more", "part 1 of the body is the last one, but something follows it"},
		{"no end", crlf("--x\n" + text + "\n\na"), "part 1 of the body does not end with the boundary on a line of its own"},
		{"no end after a part", crlf("--x\n" + text + "\n\na\n--x"), "part 2 of the body does not begin behind a boundary that stands alone on its line"},
		{"line feeds only", "--x\n" + text + "\n\na\n--x--\n", "part 1 of the body does not begin behind a boundary that stands alone on its line"},
		{"boundary behind a line feed", crlf("--x\n"+text+"\n\na") + "\n--x\r\n" + crlf("\n--x--\n"), "part 1 of the body does not end with the boundary on a line of its own"},
		{"longer boundary", crlf("--x\n" + text + "\n\na\n--xy\n--x--\n"), "part 2 of the body does not begin behind a boundary that stands alone on its line"},
		{"space behind the boundary", crlf("--x \n" + text + "\n\na\n--x--\n"), "part 1 of the body does not begin behind a boundary that stands alone on its line"},
		{"no header", crlf("--x\n\n\na\n--x--\n"), "part 1 of the body has a header line that is none"},
		{"no name", one("Content-Disposition: form-data", "a"), "part 1 of the body has a Content-Disposition that is not form-data with a name"},
		{"empty name", one(disposition+`""`, "a"), "part 1 of the body has a Content-Disposition that is not form-data with a name"},
		{"attachment", one(`Content-Disposition: attachment; name="a"`, "a"), "part 1 of the body has a Content-Disposition that is not form-data with a name"},
		{"no disposition", one("Content-Type: text/plain", "a"), "part 1 of the body has no Content-Disposition"},
		{"two dispositions", one(text+"\n"+text, "a"), "part 1 of the body has a header field that such parts do not have, or one twice"},
		{"two names", one(text+`; name="file"`, "a"), "part 1 of the body has a Content-Disposition that is not form-data with a name"},
		{"name in another charset", one(disposition+`"a"; name*=utf-8''b`, "a"), "part 1 of the body has a Content-Disposition that is not form-data with a name"},
		{"filename in another charset", one(disposition+`"file"; filename="a"; filename*=utf-8''b`, "a"), "part 1 of the body has a Content-Disposition that is not form-data with a name"},
		{"backslash", one(disposition+`"a\"b"`, "a"), "part 1 of the body has a Content-Disposition that is not form-data with a name"},
		{"folder in a filename", one(disposition+`"file"; filename="../a"`, "a"), "part 1 of the body has a filename that is too long, or has slashes or control characters"},
		{"long filename", one(disposition+`"file"; filename="`+strings.Repeat("a", 256)+`"`, "a"), "part 1 of the body has a filename that is too long, or has slashes or control characters"},
		{"transfer encoding", one(text+"\nContent-Transfer-Encoding: base64", "YQ=="), "part 1 of the body has a header field that such parts do not have, or one twice"},
		{"folded", one("Content-Disposition: form-data;\n name=\"a\"", "a"), "part 1 of the body has a Content-Disposition that is not form-data with a name"},
		{"long header", one(text+"\nContent-Type: text/plain; a="+strings.Repeat("a", 5000), "a"), "part 1 of the body has no end of its header within 4096 bytes"},
		{"many parts", crlf("--x\n" + strings.Repeat(disposition+"labels\n\n\n--x\n", 1000) + disposition + "labels\n\n\n--x--\n"), "part 1001 of the body is one too many"},
		{"twice", crlf("--x\n" + text + "\n\na\n--x\n" + text + "\n\nb\n--x--\n"), "purpose stands 2 times"},
		{"value and structure", crlf("--x\n" + disposition + "file_link_data\n\na\n--x\n" + disposition + "\"file_link_data[create]\"\n\nb\n--x--\n"), `the body names "file_link_data[create]" both as a value and as a structure`},
		{"a file for text", one(disposition+`"purpose"; filename="a"`, "a"), `the part "purpose" is a file; the contract wants a plain value`},
		{"type of a file", one(disposition+"file; filename=a\nContent-Type: text/html", "a"), `the part "file" has the Content-Type "text/html"; it may have application/pdf, image/*`},
		{"no type of a file", one(disposition+"file; filename=a", "a"), `the part "file" has no Content-Type; it may have application/pdf, image/*`},
		{"type that is none", one(text+"\nContent-Type: /", "a"), `the part "purpose" has a Content-Type that is none`},
		{"large file", one(disposition+"file; filename=a\nContent-Type: image/png", strings.Repeat("a", 1001)), `the part "file" has 1001 bytes; at most 1000 may be sent`},
		{"charset", one(text+"\nContent-Type: text/plain; charset=utf-7", "a"), `the part "purpose" is not in UTF-8`},
		{"invalid UTF-8", one(text, "\xff"), `the part "purpose" is not in UTF-8`},
		{"NUL", one(text, "\x00"), `the part "purpose" holds a NUL character`},
		{"JSON for text", one(text+"\nContent-Type: application/json", `"a"`), `the part "purpose" has the Content-Type "application/json"; it may have text/plain`},
		{"text for JSON", one(disposition+"details\nContent-Type: text/html", `{}`), `the part "details" has the Content-Type "text/html"; it may have application/json`},
		{"not JSON", one(disposition+"details", `{`), `details is not acceptable JSON: byte 1: expected a name in quotes`},
	}
	m := uploads(t)
	var r Reader
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got tape.Tape
			_, err := readParts(&r, &got, tt.body, "x", m)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != problem.BadBody || p.Detail != tt.want {
				t.Errorf("%v; want %s", err, tt.want)
			}
		})
	}
}

func TestBoundary(t *testing.T) {
	for header, want := range map[string]string{
		"multipart/form-data; boundary=abc": "abc", `multipart/form-data; boundary="a b:c"`: "a b:c", "Multipart/Form-Data; Boundary=----x": "----x",
		"multipart/form-data": "", "multipart/mixed; boundary=x": "", "multipart/form-data; boundary=": "", `multipart/form-data; boundary="a "`: "",
		"multipart/form-data; boundary=" + strings.Repeat("a", 71): "", "multipart/form-data; boundary=a; boundary=b": "", `multipart/form-data; boundary="a\"b"`: "", "": "",
	} {
		got, err := Boundary(header)
		var p *problem.Error
		if got != want || want == "" && (!errors.As(err, &p) || p.Code != problem.MediaType) {
			t.Errorf("%s: %q, %v", header, got, err)
		}
	}
}

func TestWriteMultipartRefuses(t *testing.T) {
	m := uploads(t)
	var w Writer
	for name, tt := range map[string]struct {
		value string
		files []File
	}{
		"no base64":                {`{"file":"?"}`, nil},
		"loose base64":             {`{"file":"YR=="}`, nil},
		"base64 in lines":          {`{"file":"YQ\n=="}`, nil},
		"a number as a file":       {`{"file":5}`, nil},
		"too large":                {`{"file":"` + base64.StdEncoding.EncodeToString(make([]byte, 1001)) + `"}`, nil},
		"another type":             {`{"file":"YQ=="}`, []File{{Field: "file", Type: "text/html"}}},
		"a type with a line break": {`{"file":"YQ=="}`, []File{{Field: "file", Type: "image/png\r\nx: y"}}},
		"a name with a quote":      {`{"file":"YQ=="}`, []File{{Field: "file", Name: `a"b`, Type: "image/png"}}},
		"null":                     {`{"purpose":null}`, nil},
		"an object":                {`{"purpose":{}}`, nil},
		"NUL":                      {`{"purpose":"\u0000"}`, nil},
		"empty list":               {`{"labels":[]}`, nil},
		"a list in a list":         {`{"labels":[["a"],"b"]}`, nil},
		"empty structure":          {`{"file_link_data":{}}`, nil},
		"a list for one":           {`{"purpose":["a","b"]}`, nil},
		"a plain value for a list": {`{"labels":"a"}`, nil},
		"a quote in a name":        {`{"a\"b":"c"}`, nil},
		"a bracket in a name":      {`{"file_link_data[create]":true}`, nil},
		"brackets below":           {`{"file_link_data":{"metadata":{"a]":"b"}}}`, nil},
		"no object":                {`[]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var v tape.Tape
			if err := v.Parse([]byte(tt.value), tape.Limits{}); err != nil {
				t.Fatal(err)
			}
			out, _, err := w.Multipart(nil, &v, 0, m, tt.files)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != problem.ContractViolation || len(out) > 0 || len(w.MultipartMisfits(&v, 0, m, tt.files)) == 0 {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}
