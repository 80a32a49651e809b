// Package demo is the two-minute tour: a gate, mock providers and a sample shop on
// loopback, started together and gone together.
package demo

import (
	"context"
	"io"
)

// Options say where the tour prints and listens.
type Options struct {
	Out  io.Writer
	Log  io.Writer
	Port int // of the sample shop; 0: any free one
}

// Run shows the tour until ctx ends.
func Run(ctx context.Context, o Options) error {
	<-ctx.Done()
	return nil
}
