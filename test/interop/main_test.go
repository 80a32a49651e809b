package interop

import (
	"os"
	"testing"

	"sallyport/test/servers"
)

// TestMain ends the servers that the tests share.
func TestMain(m *testing.M) { os.Exit(servers.Ending(m).Run()) }
