package main

import (
	"fmt"
	"syscall"
)

// prSetDumpable is PR_SET_DUMPABLE of prctl(2).
const prSetDumpable = 4

// harden keeps the memory of a process that holds keys to itself: no core dumps, neither into
// a file (the limit) nor into a collector that the kernel would start (dumpable), and other
// processes of the same user can neither attach to it nor read its /proc/PID/environ and mem.
func harden() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("turn core dumps off: %w", err)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0); errno != 0 {
		return fmt.Errorf("turn core dumps off: %w", errno)
	}
	return nil
}
