package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress is a bar on a terminal for work that takes over a second; elsewhere it is nothing.
type progress struct {
	out     io.Writer // nil: nobody sees it
	now     func() time.Time
	start   time.Time
	drawn   time.Time
	visible bool
}

// The times after which a bar appears, and between two drawings of it.
const (
	progressAfter = time.Second
	progressEvery = 100 * time.Millisecond
	progressWidth = 30
)

func (p *Program) progress() *progress {
	bar := &progress{now: p.Now, start: p.Now()}
	if p.Terminal {
		bar.out = p.Err
	}
	return bar
}

// show draws how much is done; total 0 means that nobody knows.
func (b *progress) show(doing string, done, total int) {
	now := b.now()
	if b.out == nil || now.Sub(b.start) < progressAfter || now.Sub(b.drawn) < progressEvery && done != total {
		return
	}
	b.drawn, b.visible = now, true
	if total == 0 {
		fmt.Fprintf(b.out, "\r\x1b[K%s …", doing)
		return
	}
	full := progressWidth * done / total
	fmt.Fprintf(b.out, "\r\x1b[K[%s%s] %d of %d %s", strings.Repeat("#", full), strings.Repeat(" ", progressWidth-full), done, total, doing)
}

// end takes the bar away.
func (b *progress) end() {
	if b.visible {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.visible = false
	}
}
