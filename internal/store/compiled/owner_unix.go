//go:build unix

package compiled

import (
	"io/fs"
	"os"
	"syscall"
)

// openFlags refuse a symbolic link, and do not wait for a pipe.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// ownFile reports whether the file belongs to the user of this process.
func ownFile(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
