package tape

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

// Nothing is read behind a text that ends where the process's memory does.
func TestEndOfMemory(t *testing.T) {
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Munmap(mem) }()
	for _, at := range []int{0, 2 * page} {
		if err := syscall.Mprotect(mem[at:at+page], syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	g, r := someGuide(), rand.New(rand.NewPCG(5, 6))
	var tp Tape
	var found Finds
	for range 3000 {
		text := someText(r, g)
		if len(text) > page {
			continue
		}
		for _, from := range []int{page, 2*page - len(text)} {
			there := mem[from : from+len(text) : from+len(text)]
			copy(there, text)
			want := new(Tape).Parse(text, Limits{})
			if got := tp.ParseGuided(there, Limits{}, g, 1, &found); (got == nil) != (want == nil) {
				t.Fatalf("%q: %v, elsewhere %v", text, got, want)
			}
		}
	}
}
