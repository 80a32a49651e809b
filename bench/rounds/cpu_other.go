//go:build !linux

package rounds

import "time"

var start = time.Now()

// threadTime is the time on the clock: other systems do not tell it for one thread.
func threadTime() time.Duration { return time.Since(start) }
