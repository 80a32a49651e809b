package jws

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
)

var update = flag.Bool("update", false, "write the list of docs/reference/jose.md")

// vectors is what the files of Wycheproof have in common.
type vectors struct {
	TestGroups []struct {
		Private, Public json.RawMessage
		PublicKeyDer    string
		Sha, MgfSha     string
		SLen, KeySize   int
		TagSize         int
		Tests           []vector
	}
}

type vector struct {
	TcID               int
	Comment, Result    string
	JWS                any
	Key, Msg, Sig, Tag string
	Flags              []string
}

func load(t *testing.T, name string) vectors {
	t.Helper()
	raw, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// tally counts a file's vectors and gathers the valid ones that are refused, by reason.
type tally struct {
	file                     string
	total, accepted, invalid int
	refused                  map[string][]int
	twins                    []int // called invalid, byte for byte one that is called valid
}

func (y *tally) take(t *testing.T, c vector, verified bool, reason string) {
	t.Helper()
	y.total++
	switch {
	case c.Result == "invalid":
		if y.invalid++; verified {
			t.Errorf("%s %d (%s): an invalid one was accepted", y.file, c.TcID, c.Comment)
		}
	case verified:
		y.accepted++
	case c.Result == "valid":
		if reason == "" {
			t.Errorf("%s %d (%s): a valid one was refused, and nobody has said why", y.file, c.TcID, c.Comment)
		}
		if y.refused == nil {
			y.refused = map[string][]int{}
		}
		y.refused[reason] = append(y.refused[reason], c.TcID)
	}
}

// all accepts every algorithm, so that only the key and the token decide.
func all() Accept {
	return Accept{Algorithms: []string{RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384, HS512}}
}

// whyTokenRefused says of each valid token that is refused why.
func whyTokenRefused(c vector) string {
	switch {
	case c.TcID == 346 || c.TcID == 350:
		return "the key is for PS256 and the token says PS384: one key, one algorithm"
	case c.TcID == 347 || c.TcID == 351:
		return "the key's `alg` is ES521, which is no algorithm; ES512 is"
	case strings.HasPrefix(c.Comment, "InvalidCharacterInserted"):
		return "a character outside base64url is inside; the vectors allow to skip it, RFC 7515 §2 does not"
	case c.TcID == 349:
		return "its `key_ops` hold one operation named \"sign, verify\""
	}
	return ""
}

func text(jws any) string {
	if s, ok := jws.(string); ok {
		return s
	}
	b, _ := json.Marshal(jws)
	return string(b)
}

func tokens(t *testing.T) tally {
	y := tally{file: "json_web_signature_test.json"}
	for _, g := range load(t, y.file).TestGroups {
		raw := g.Public
		if raw == nil {
			raw = g.Private
		}
		key, keyErr := ParseKey(raw, all())
		valid := map[string]bool{}
		for _, c := range g.Tests {
			err := keyErr
			if err == nil {
				set, _ := NewSet(key)
				_, err = Open(context.Background(), text(c.JWS), set)
			}
			if valid[text(c.JWS)] && c.Result == "invalid" {
				y.total++
				y.twins = append(y.twins, c.TcID)
				continue
			}
			valid[text(c.JWS)] = c.Result == "valid"
			y.take(t, c, err == nil, whyTokenRefused(c))
		}
	}
	return y
}

func keySets(t *testing.T) tally {
	y := tally{file: "json_web_key_test.json"}
	for _, g := range load(t, y.file).TestGroups {
		raw := g.Public
		if raw == nil {
			raw = g.Private
		}
		set, keyErr := ParseSet(raw, all())
		for _, c := range g.Tests {
			err := keyErr
			if err == nil {
				_, err = Open(context.Background(), text(c.JWS), set)
			}
			y.take(t, c, err == nil, "")
		}
	}
	return y
}

// signatures runs a file of bare signatures with one algorithm.
func signatures(t *testing.T, file, algorithm string) tally {
	y := tally{file: file}
	for _, g := range load(t, file).TestGroups {
		key, reason := Key{}, ""
		if g.PublicKeyDer != "" {
			public, err := x509.ParsePKIXPublicKey(unhex(t, g.PublicKeyDer))
			if err != nil {
				t.Fatal(file, err)
			}
			if key, err = NewKey(algorithm, "", public); err != nil {
				t.Fatal(file, err)
			}
		}
		if size := hashSize(algorithm); strings.HasPrefix(algorithm, "PS") && g.SLen != size {
			reason = fmt.Sprintf("the salt has %d bytes; %s has %d (RFC 7518 §3.5)", g.SLen, algorithm, size)
		}
		if strings.HasPrefix(algorithm, "PS") && g.MgfSha != g.Sha {
			reason = fmt.Sprintf("MGF1 is with %s and the hash is %s; RFC 7518 §3.5 wants one hash", g.MgfSha, g.Sha)
		}
		for _, c := range g.Tests {
			k, sig := key, unhex(t, c.Sig)
			if c.Key != "" || c.Tag != "" {
				k, _ = NewKey(algorithm, "", unhex(t, c.Key))
				sig, reason = unhex(t, c.Tag), hmacReason(g.KeySize, g.TagSize, algorithm)
			}
			y.take(t, c, k.verify(unhex(t, c.Msg), sig), reason)
		}
	}
	return y
}

func hashSize(algorithm string) int {
	if algorithm == EdDSA {
		return 0
	}
	return hashOf(algorithm).Size()
}

func hmacReason(keySize, tagSize int, algorithm string) string {
	switch want := 8 * hashSize(algorithm); {
	case keySize < want:
		return fmt.Sprintf("the key has %d bits, fewer than the hash (RFC 7518 §3.2)", keySize)
	case tagSize != want:
		return fmt.Sprintf("the tag is cut to %d bits; JOSE has whole ones", tagSize)
	}
	return ""
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bare are the files of signatures of the algorithms that are read here.
func bare() [][2]string {
	out := [][2]string{
		{"ecdsa_secp256r1_sha256_p1363_test.json", ES256}, {"ecdsa_secp384r1_sha384_p1363_test.json", ES384},
		{"ecdsa_secp521r1_sha512_p1363_test.json", ES512}, {"ed25519_test.json", EdDSA},
		{"hmac_sha256_test.json", HS256}, {"hmac_sha384_test.json", HS384}, {"hmac_sha512_test.json", HS512},
		{"rsa_pss_2048_sha256_mgf1_32_test.json", PS256},
		{"rsa_pss_2048_sha256_mgf1sha1_20_test.json", PS256}, {"rsa_pss_2048_sha384_mgf1_48_test.json", PS384},
		{"rsa_pss_3072_sha256_mgf1_32_test.json", PS256}, {"rsa_pss_4096_sha256_mgf1_32_test.json", PS256},
		{"rsa_pss_4096_sha384_mgf1_48_test.json", PS384}, {"rsa_pss_4096_sha512_mgf1_32_test.json", PS512},
		{"rsa_pss_4096_sha512_mgf1_64_test.json", PS512},
	}
	for _, f := range []string{"2048_sha256", "2048_sha384", "2048_sha512", "3072_sha256", "3072_sha384", "3072_sha512", "4096_sha256", "4096_sha384", "4096_sha512", "8192_sha256", "8192_sha384", "8192_sha512"} {
		out = append(out, [2]string{"rsa_signature_" + f + "_test.json", "RS" + f[len(f)-3:]})
	}
	return out
}

const (
	listBegin = "<!-- vectors: written by go test ./internal/jws -run Wycheproof -update -->\n"
	listEnd   = "<!-- end -->"
	page      = "../../docs/reference/jose.md"
)

// TestWycheproof runs every vector of the algorithms that are read: none that is invalid is
// accepted, and each valid one that is refused stands with its reason in
// docs/reference/jose.md.
func TestWycheproof(t *testing.T) {
	all := []tally{tokens(t), keySets(t)}
	for _, f := range bare() {
		all = append(all, signatures(t, f[0], f[1]))
	}
	total, invalid := 0, 0
	var b strings.Builder
	b.WriteString("\n| file | vectors | invalid, all refused | accepted | valid, refused | why |\n|---|---|---|---|---|---|\n")
	for _, y := range all {
		total, invalid = total+y.total, invalid+y.invalid
		y.write(&b)
	}
	if !slices.Equal(all[0].twins, []int{367, 370}) {
		t.Errorf("vectors that contradict each other: %v", all[0].twins)
	}
	fmt.Fprintf(&b, "\n%d vectors in %d files; %d invalid, 0 of them accepted.\n", total, len(all), invalid)
	if total < 6000 || invalid < 4300 {
		t.Errorf("only %d vectors, %d invalid, were found", total, invalid)
	}
	hold(t, b.String())
}

func (y tally) write(b *strings.Builder) {
	reasons := make([]string, 0, len(y.refused))
	for r := range y.refused {
		reasons = append(reasons, r)
	}
	slices.SortFunc(reasons, func(a, c string) int { return y.refused[a][0] - y.refused[c][0] })
	name := strings.TrimSuffix(y.file, "_test.json")
	if len(reasons) == 0 {
		fmt.Fprintf(b, "| `%s` | %d | %d | %d | none | |\n", name, y.total, y.invalid, y.accepted)
	}
	for i, r := range reasons {
		if i == 0 {
			fmt.Fprintf(b, "| `%s` | %d | %d | %d | %s | %s |\n", name, y.total, y.invalid, y.accepted, ranges(y.refused[r]), r)
			continue
		}
		fmt.Fprintf(b, "| | | | | %s | %s |\n", ranges(y.refused[r]), r)
	}
}

// ranges writes numbers as 1–3, 7.
func ranges(n []int) string {
	var out []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		s := strconv.Itoa(n[i])
		if j > i {
			s += "–" + strconv.Itoa(n[j])
		}
		out, i = append(out, s), j+1
	}
	return strings.Join(out, ", ")
}

// hold holds the list against the page, or writes it.
func hold(t *testing.T, list string) {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), listBegin)
	old, after, ok2 := strings.Cut(rest, listEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the list", page)
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+listBegin+list+"\n"+listEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if strings.TrimSpace(old) != strings.TrimSpace(list) {
		t.Errorf("%s does not say what the vectors show; run with -update and read the difference:\n%s", page, list)
	}
}
