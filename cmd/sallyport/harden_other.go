//go:build !linux

package main

import (
	"fmt"
	"syscall"
)

// harden turns core dumps off, so that keys in memory do not land in a file.
func harden() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("turn core dumps off: %w", err)
	}
	return nil
}
