package servers

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// identity is a user as the system knows it.
type identity struct{ uid, gid uint32 }

// servant is who runs the servers where the tests run as root: PostgreSQL refuses root,
// and no server of a test needs it.
func servant() (identity, bool) {
	if os.Getuid() != 0 {
		return identity{}, false
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return identity{}, false
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return identity{uint32(uid), uint32(gid)}, err1 == nil && err2 == nil
}

// command is a program that runs in dir, as the servant, and writes to the file log.
func command(dir, log, program string, args ...string) (*exec.Cmd, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + dir}
	cmd.SysProcAttr = attributes()
	if who, ok := servant(); ok {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid, NoSetGroups: false}
	}
	return cmd, nil
}

// process is a server that runs.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// spawn starts a server. The thread that started it lives as long as it does: where the
// system ends a child with its parent, it goes by the thread.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	began := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		began <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.done)
		}
		if f, ok := cmd.Stdout.(*os.File); ok {
			_ = f.Close()
		}
	}()
	if err := <-began; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// ended says whether the server is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the server to end, and kills it when it does not within ten seconds.
func (p *process) stop(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
