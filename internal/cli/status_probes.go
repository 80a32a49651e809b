package cli

import (
	"time"

	"sallyport/internal/probe"
)

// credentialStatus is the last answer of a provider about a connection's credential.
type credentialStatus struct {
	Finding probe.Finding `json:"finding"`
	Note    string        `json:"note,omitempty"`
	At      time.Time     `json:"at"`
	Since   time.Time     `json:"since"`
}

func (s *status) addProbes(list []probe.Result) {
	for _, r := range list {
		for i := range s.Sites {
			for j := range s.Sites[i].Connections {
				if c := &s.Sites[i].Connections[j]; s.Sites[i].Site == r.Site && c.Connection == r.Connection {
					c.Credential = &credentialStatus{r.Finding, r.Note, r.At, r.Since}
				}
			}
		}
	}
}

func (p *Program) credentialState(c *credentialStatus) string {
	if c == nil {
		return "-"
	}
	if c.Finding == probe.Works {
		return "works, asked " + p.ago(&c.At, " ago")
	}
	return inWords(c.Finding) + noted(c.Note) + " since " + day(c.Since)
}
