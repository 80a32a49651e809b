package file

import (
	"io/fs"
	"syscall"
	"time"
)

// stampOf includes the change time, which no user can set back.
func stampOf(info fs.FileInfo) stamp {
	st := stamp{size: info.Size(), modified: info.ModTime(), changed: info.ModTime(), mode: info.Mode()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		st.device, st.inode = uint64(sys.Dev), sys.Ino
		st.changed = time.Unix(int64(sys.Ctim.Sec), int64(sys.Ctim.Nsec))
	}
	return st
}
