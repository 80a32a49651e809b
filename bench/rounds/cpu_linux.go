package rounds

import (
	"syscall"
	"time"
	"unsafe"
)

const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID, which package syscall does not name

// threadTime is the CPU time of this thread, so that what others do on the machine in
// between is not counted. getrusage would tell it in steps of the scheduler's tick.
func threadTime() time.Duration {
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		panic(errno) // the arguments are constants
	}
	return time.Duration(ts.Nano())
}
