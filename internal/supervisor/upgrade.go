package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// UpgradeSignal asks a parent to change over to the program that is now installed under its path, if Parent.Requested agrees:
// scripts send SIGUSR2 to keepalived for its statistics.
const UpgradeSignal = syscall.SIGUSR2

const (
	// rehearsalTimeout limits the time for another version to say that it can take over, which includes reading the
	// configuration.
	rehearsalTimeout = 20 * time.Second
	// takeoverTimeout limits the time for its workers to be ready.
	takeoverTimeout = 30 * time.Second
	// probation is how long they must remain so.
	probation = 2 * time.Second
)

// askUpgrade starts an upgrade. The result of the rehearsal arrives in p.rehearsed.
func (p *Parent) askUpgrade(ctx context.Context) {
	if !p.Requested() {
		p.Logger.Warn("SIGUSR2 ignored: it is not from lvs-ha upgrade")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.upgrade.Running() {
		p.Logger.Warn("upgrade requested while another is running", "step", p.upgrade.Step)
		return
	}
	p.upgrade = Upgrade{Sequence: p.upgrade.Sequence + 1, Started: time.Now(), From: p.Version}
	if !p.allReady() {
		p.setStep(StepRefused, "not all processes of lvs-ha are ready: see `lvs-ha status`")
		return
	}
	p.setStep(StepChecking, "")
	h := Handover{Rehearsal: true, Path: p.Binary, Kept: ParentCapabilities, Upgrade: p.upgrade, Role: -1, Old: -1}
	memory := p.Memory
	go func() {
		to, err := h.rehearse(ctx, memory)
		select {
		case p.rehearsed <- rehearsal{to, err}:
		case <-ctx.Done():
		}
	}()
}

// rehearsal is what another version says about taking over.
type rehearsal struct {
	version string
	err     error
}

// rehearse starts the other version with this process's arguments to see whether it understands them, the handover and
// the configuration, and can continue with what is in the memory. It returns its version.
func (h *Handover) rehearse(ctx context.Context, memory *os.File) (version string, err error) {
	var files []*os.File
	if memory != nil {
		files, h.Memory = []*os.File{memory}, memoryFD
	}
	environment, err := h.environment()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, rehearsalTimeout)
	defer cancel()
	var stdout, stderr bounded
	cmd := exec.CommandContext(ctx, h.Path, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = environment, &stdout, &stderr, files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err = startRestricted(cmd, ParentCapabilities); err == nil {
		err = cmd.Wait()
	}
	version, said := strings.CutPrefix(strings.TrimSpace(string(stdout)), rehearsalAnswer)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s did not say within %v that it can take over", h.Path, rehearsalTimeout)
	case err != nil && len(stderr) > 0:
		return "", fmt.Errorf("%s cannot take over: %s", h.Path, strings.TrimSpace(string(stderr)))
	case err != nil:
		return "", fmt.Errorf("%s cannot take over: %w", h.Path, err)
	case !said || version == "":
		return "", fmt.Errorf("%s cannot take over: it is not a version of lvs-ha that can", h.Path)
	}
	return version, nil
}

const memoryFD = 3 // the first of exec.Cmd.ExtraFiles

const rehearsalAnswer = "lvs-ha can take over: "

// AnswerRehearsal tells the running version on standard output that this one can take over.
func AnswerRehearsal(version string) error {
	_, err := fmt.Println(rehearsalAnswer + version)
	return err
}

// bounded keeps the beginning of a program's output.
type bounded []byte

func (b *bounded) Write(text []byte) (int, error) {
	*b = append(*b, text[:min(len(text), 4096-len(*b))]...)
	return len(text), nil
}

// handOver replaces this program by the other version. It returns only if that is not possible.
func (p *Parent) handOver(r rehearsal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.err != nil {
		p.setStep(StepRefused, r.err.Error())
		return
	}
	p.upgrade.To = r.version
	p.setStep(StepStarting, "")
	p.notify("STATUS=Upgrading to " + r.version + ".")
	h := Handover{Path: p.Binary, Kept: ParentCapabilities, Upgrade: p.upgrade}
	err := p.pass(&h, func() error {
		var err error
		if h.Old, err = unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("opening the running program: %w", err)
		}
		defer unix.Close(h.Old)
		return h.execute(p.Binary)
	})
	p.setStep(StepRefused, err.Error())
	p.progress()
}

// pass fills in a handover with the workers of this parent, and calls execute. The caller holds p.mu.
func (p *Parent) pass(h *Handover, execute func() error) error {
	h.Role, h.Old = -1, -1
	if p.held != nil {
		h.Role = int(p.held.Fd())
	}
	passed := map[int]bool{}
	if p.handover != nil && !p.isOpen() {
		h.Workers = p.handover.Workers
	} else {
		for name, proc := range p.active {
			if proc == nil {
				continue
			}
			link, err := proc.duplicateLink()
			if err != nil {
				return err
			}
			defer unix.Close(link)
			h.Workers = append(h.Workers, heldWorker{name, proc.pid(), link})
			passed[proc.pid()] = true
		}
	}
	for pid := range p.children {
		if !passed[pid] {
			h.Ending = append(h.Ending, pid)
		}
	}
	for _, w := range p.Workers {
		_ = p.stored[w.Name].use(func(names []string, fds []int) error {
			for i := range names {
				h.Stored = append(h.Stored, storedFile{w.Name, names[i], fds[i]})
			}
			return nil
		})
	}
	// A signal that arrives before the other version expects it would end the process.
	signal.Ignore(syscall.SIGHUP, UpgradeSignal)
	defer signal.Notify(p.signals, syscall.SIGHUP, UpgradeSignal)
	return execute()
}

func (p *Parent) isOpen() bool {
	select {
	case <-p.opened:
		return true
	default:
		return false
	}
}

func (p *process) duplicateLink() (fd int, err error) {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failure error
	err = raw.Control(func(conn uintptr) { fd, failure = unix.FcntlInt(conn, unix.F_DUPFD_CLOEXEC, 3) })
	return fd, errors.Join(err, failure)
}

// Inherit makes Run take over from another version; h may be nil.
func (p *Parent) Inherit(h *Handover) {
	if p.handover = h; h != nil {
		p.Binary = h.Path
	}
}

// inherit begins with the workers of another version, which passed them on.
func (p *Parent) inherit() {
	h := p.handover
	p.succeeds, p.upgrade = true, h.Upgrade
	if h.Role >= 0 {
		p.held = os.NewFile(uintptr(h.Role), parentRole)
	}
	for _, f := range h.Stored {
		if s := p.stored[f.Worker]; s == nil || !s.put(f.Name, f.File) {
			unix.Close(f.File)
		}
	}
	for _, pid := range h.Ending {
		go reap(pid)
	}
	p.Logger.Info("upgrade: this version took the place of the one that was running", "from", h.Upgrade.From, "to", p.Version, "back", h.Back)
	p.trial = time.AfterFunc(takeoverTimeout, func() { p.giveUp(fmt.Errorf("its processes were not ready within %v", takeoverTimeout)) })
}

// giveUp puts the version before back if this one is on trial, and reports whether it is. The error says what is wrong with
// this one.
func (p *Parent) giveUp(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.onTrial() {
		return false
	}
	select {
	case p.failed <- err:
	default: // not the first reason
	}
	return true
}

// onTrial reports whether another version can be put back, since the workers of this one have not yet proved themselves. The
// caller holds p.mu.
func (p *Parent) onTrial() bool {
	return p.handover != nil && p.handover.Old >= 0 && p.handover.Back == ""
}

// putBack replaces this program by the version before. It returns only if that is not possible.
func (p *Parent) putBack(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.onTrial() {
		return
	}
	p.setStep(StepStarting, "")
	p.Logger.Error("upgrade failed; putting the version before back", "version", p.upgrade.From, "error", reason)
	old := p.handover.Old
	h := Handover{Path: p.Binary, Upgrade: p.upgrade, Back: reason.Error()}
	err := p.pass(&h, func() error { return h.execute(fmt.Sprintf("/proc/self/fd/%d", old)) })
	p.Logger.Error("the version before cannot be put back; continuing with this one", "error", err)
	p.endTrial(StepFailed, reason.Error())
}

// settle ends the trial if all workers remain ready. The caller holds p.mu.
func (p *Parent) settle() {
	if p.handover == nil || p.settling {
		return
	}
	p.settling = true
	p.trial.Stop()
	p.trial = time.AfterFunc(probation, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case p.handover == nil:
		case !p.allReady():
			p.settling = false
		case p.handover.Back != "":
			p.endTrial(StepPutBack, p.handover.Back)
		default:
			p.endTrial(StepDone, "")
		}
	})
}

// endTrial releases what the other version passed on.
func (p *Parent) endTrial(step Step, reason string) {
	if p.handover.Old >= 0 {
		unix.Close(p.handover.Old)
	}
	p.handover = nil
	p.setStep(step, reason)
}

// endHeld stops the workers of the version before, if this parent stops before it has replaced them.
func (p *Parent) endHeld() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handover == nil {
		return
	}
	for len(p.handover.Workers) > 0 {
		p.handover.end(p.handover.Workers[0].Name, syscall.SIGTERM)
	}
}

// setStep records and logs how far the upgrade is. The caller holds p.mu, or no other goroutine runs.
func (p *Parent) setStep(step Step, reason string) {
	p.upgrade.Step, p.upgrade.Error, p.upgrade.Changed = step, reason, time.Now()
	p.upgrade.PID, p.upgrade.Version, p.upgrade.Path = os.Getpid(), p.Version, p.Binary
	log := p.Logger.With("step", string(step), "from", p.upgrade.From, "to", p.upgrade.To)
	switch {
	case step == StepNone:
	case reason != "":
		log.Error("upgrade not done", "error", reason)
	default:
		log.Info("upgrade")
	}
	p.record()
}

func (p *Parent) record() {
	if p.Report == nil {
		return
	}
	err := p.Report(p.upgrade)
	if err != nil && !p.unrecorded {
		p.Logger.Warn("cannot record the upgrade; retrying", "error", err)
	}
	p.unrecorded = err != nil
}

// Record writes the record of the latest upgrade again if the runtime directory was recreated, or the last attempt failed: without
// it, `lvs-ha upgrade` refuses.
func (p *Parent) Record(recreated bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if recreated || p.unrecorded {
		p.record()
	}
}

// baseName is a program's name as the kernel gives it to a process (TASK_COMM_LEN).
func baseName(path string) string {
	name := filepath.Base(path)
	return name[:min(len(name), 15)]
}
