//go:build !amd64

package tape

func readMembers(c *cursor) way { return portableMembers(c) }
