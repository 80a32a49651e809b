package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"sallyport/internal/contract"
	"sallyport/internal/outbound"
	"sallyport/internal/provider"
)

// signsOf are the provider's signs that concern an operation.
func signsOf(p *provider.Pack, op *contract.Operation) []provider.Sign {
	var out []provider.Sign
	for _, s := range slices.Concat(p.Refused, p.Throttle) {
		if len(s.Ops) == 0 || slices.Contains(s.Ops, op.ID) {
			out = append(out, s)
		}
	}
	return out
}

// judge finds the first sign whose conditions all hold.
func judge(signs []provider.Sign, status int, header http.Header, body []byte) outbound.Verdict {
	var tree contract.Args
	read := false
	for _, s := range signs {
		if s.Status != 0 && s.Status != status {
			continue
		}
		if s.Header != "" {
			v := header.Get(s.Header)
			if v == "" || s.HeaderIs != "" && v != s.HeaderIs {
				continue
			}
		}
		if s.Field != "" {
			if !read {
				tree, read = bodyTree(body), true
			}
			if !fieldIs(tree, s.Field, s.Equals) {
				continue
			}
		}
		switch s.Means {
		case "throttled":
			return outbound.Throttled
		case "retry":
			return outbound.Retry
		case "never":
			return outbound.Stop
		case "refused":
			return outbound.Refused
		}
	}
	return outbound.Plain
}

func bodyTree(body []byte) contract.Args {
	var tree map[string]any
	if err := json.Unmarshal(body, &tree); err != nil {
		return contract.NewArgs(nil)
	}
	return contract.NewArgs(tree)
}

func fieldIs(tree contract.Args, field, want string) bool {
	path, err := contract.ParsePath(field)
	if err != nil {
		return false
	}
	v, ok := tree.Get(path)
	return ok && fmt.Sprint(v) == want
}
