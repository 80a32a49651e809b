//go:build !linux

package file

import "io/fs"

// stampOf goes by size and modification time where the system shows no more.
func stampOf(info fs.FileInfo) stamp {
	return stamp{size: info.Size(), modified: info.ModTime(), changed: info.ModTime(), mode: info.Mode()}
}
