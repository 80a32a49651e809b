package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output of the scenarios")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sallyport": func() { os.Exit(run()) }})
}

// TestScript runs the scenarios of testdata/script: the command line as people and scripts use it.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: false, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SALLYPORT_KEYSTORE_KEY", "")
			return nil
		},
	})
}
