package tape

// readMembers is portableMembers in half of its steps.
//
//go:noescape
func readMembers(c *cursor) way
