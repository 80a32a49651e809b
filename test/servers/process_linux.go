package servers

import "syscall"

// attributes let a server end with the test process, however that dies.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT} }
