package provider

// Description is everything that `providers show` prints about one provider.
type Description struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Summary    string            `json:"summary"`
	Docs       string            `json:"docs"`
	Functions  []string          `json:"functions"`
	Surface    Surface           `json:"surface"`
	Properties []Row             `json:"properties"` // the rows of Compare, with one cell each
	Credential []CredentialField `json:"credentials"`
	Public     []PublicField     `json:"public,omitempty"`
	KeyShapes  []KeyShape        `json:"key_shapes,omitempty"`
	Operations []OperationLine   `json:"operations"`
	Compliance []Compliance      `json:"compliance"`
	Notes      []Fact            `json:"notes,omitempty"`
}

// OperationLine maps an operation name to what the provider is asked.
type OperationLine struct {
	ID      string          `json:"id"`
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	Summary string          `json:"summary"`
	URL     map[Mode]string `json:"url"`  // by mode: server and path
	Auth    string          `json:"auth"` // where the credential goes, in words, without a value
	Retry   string          `json:"retry"`
	Effects []string        `json:"effects,omitempty"`
	// Legacy says since when and why the operation should not be used in new sites.
	Legacy string `json:"legacy,omitempty"`
	// Personal, Secret and Card are the paths of such fields: "in " those of the
	// request, "out " those of the answer.
	Personal []string `json:"personal,omitempty"`
	Secret   []string `json:"secret,omitempty"`
	Card     []string `json:"card,omitempty"`
	Source   string   `json:"source"`
}

// Summary is one line of `providers list`.
type Summary struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Functions  []string `json:"functions"`
	Modes      []Mode   `json:"modes"`
	Operations int      `json:"operations"`
	Summary    string   `json:"summary"`
}
