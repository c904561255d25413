package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/director"
	"github.com/lvs-ha/lvs-ha/internal/explain"
	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

// explainFlags are the options of explain.
type explainFlags struct {
	runtimeDir, at, from, peer, save, output string
	replay                                   bool
}

func newExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [INSTANCE]",
		Short: "Explain why an instance changed its state",
		Long: `Explain the last transition of a VRRP instance: what it saw, which rule made the decision, and what it did. Without a name,
explain the last transition of any instance. The recording survives the end of lvs-ha, even if it was killed, but not a
reboot.

--save writes the recording to a file, to be attached to a bug report or read on the other node: --peer FILE adds what that
node saw; --from FILE reads a file instead of this host's recording. --replay passes the recorded events to the state machine
and compares the transitions.

Exit status: 0 OK, 1 wrong usage or no transition recorded, 2 a replay with other transitions, 3 no recording.`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			raw, err := f.read()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			routers, _ := flight.Decode(raw)
			return namesOf(routers), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.output != "text" && f.output != "json" {
				return fmt.Errorf("-o %q: want text or json", f.output)
			}
			return runExplain(cmd.Context(), cmd.OutOrStdout(), f, strings.Join(args, ""))
		},
	}
	cmd.Flags().StringVar(&f.at, "at", "", "explain the last transition up to a `time`, such as 12:00, \"2026-01-31 12:00\" or, before now, 10m")
	cmd.Flags().StringVar(&f.from, "from", "", "read a saved recording from a `file`")
	cmd.Flags().StringVar(&f.peer, "peer", "", "add what the other node saw, from its saved recording in a `file`")
	cmd.Flags().StringVar(&f.save, "save", "", "only write the recording to a new `file`")
	cmd.Flags().BoolVar(&f.replay, "replay", false, "replay the recording and compare the transitions")
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "output format: text or json")
	registerRuntimeDir(cmd, &f.runtimeDir)
	return cmd
}

func runExplain(ctx context.Context, w io.Writer, f explainFlags, name string) error {
	until := time.Now().Add(time.Hour) // the clock may have been set back
	if f.at != "" {
		at, err := parseTime(f.at, time.Now())
		if err != nil {
			return fmt.Errorf("--at %w", err)
		}
		until = at
	}
	raw, err := f.read()
	if errors.Is(err, fs.ErrPermission) && f.from == "" && f.peer == "" && f.save == "" && !f.replay {
		return f.ask(ctx, w, name, until)
	}
	if err != nil {
		return &exitError{3, err}
	}
	if f.save != "" {
		return saveRecording(f.save, raw)
	}
	routers, err := flight.Decode(raw)
	if err != nil {
		return &exitError{3, err}
	}
	if name != "" {
		all := routers
		routers = slices.DeleteFunc(slices.Clone(routers), func(r flight.Router) bool { return r.Name != name })
		if len(routers) == 0 {
			return &exitError{1, fmt.Errorf("no vrrp instance %q is recorded; recorded are: %s", name, strings.Join(namesOf(all), ", "))}
		}
	}
	if f.replay {
		return replay(w, routers, f.output)
	}
	story, of, ok := explain.Latest(routers, name, until)
	if !ok {
		return &exitError{1, explain.NotRecorded(routers, name, until)}
	}
	if f.from == "" {
		story.Add(director.SavedEvents(supervisor.RuntimeDir(f.runtimeDir).StateFile()))
	}
	best := explained{Story: story}
	if f.peer != "" {
		peers, saved, err := readRecording(f.peer)
		if err != nil {
			return &exitError{3, err}
		}
		if best.Peer = explain.Beside(story, of, peers, saved); best.Peer == nil {
			return &exitError{1, fmt.Errorf("%s: no instance with virtual_router_id %d is recorded", f.peer, of.VirtualRouterID)}
		}
	}
	return f.print(w, best)
}

// ask prints the explanation of the running daemon, for those who may read its API but not the recording.
func (f *explainFlags) ask(ctx context.Context, w io.Writer, name string, until time.Time) error {
	story, err := newClient(supervisor.RuntimeDir(f.runtimeDir)).Explain(ctx, name, until)
	if err != nil {
		return err
	}
	return f.print(w, explained{Story: story})
}

func (f *explainFlags) print(w io.Writer, e explained) error {
	if f.output == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(e)
	}
	if e.Peer != nil {
		e.Next = "" // its recording is shown
	}
	_, err := io.WriteString(w, storyText(&e.Story)+peerText(e.Peer))
	return err
}

// explained is a story with what the other node saw.
type explained struct {
	explain.Story
	Peer *explain.Peer `json:"peer,omitempty"`
}

func namesOf(routers []flight.Router) []string {
	var names []string
	for _, r := range routers {
		names = append(names, r.Name)
	}
	return names
}

// read returns the recording of this host, or the saved one.
func (f *explainFlags) read() ([]byte, error) {
	path := f.from
	if path == "" {
		path = filepath.Join(f.runtimeDir, flight.FileName)
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && f.from == "" {
		if file = flight.Find(); file == nil {
			return nil, fmt.Errorf("there is no recording in %s, and lvs-ha is not running (or this user may not read its memory)", f.runtimeDir)
		}
	} else if err != nil {
		return nil, fmt.Errorf("reading the recording: %w", err)
	}
	defer file.Close()
	return flight.Read(file)
}

// readRecording returns a saved recording, and when it was saved.
func readRecording(path string) ([]flight.Router, time.Time, error) {
	f := explainFlags{from: path}
	raw, err := f.read()
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%s: %w", path, err)
	}
	routers, err := flight.Decode(raw)
	return routers, flight.SavedAt(raw), err
}

func saveRecording(path string, raw []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("saving the recording: %w", err)
	}
	_, err = file.Write(raw)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("saving the recording: %w", err)
	}
	return nil
}

const storyTime = "15:04:05.000"

// storyText formats a story as text.
func storyText(s *explain.Story) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s: %s -> %s (%s), priority %d\n", s.Time.Local().Format("2006-01-02 "+storyTime), plain(s.Instance), s.From, s.To, s.Reason, s.Priority)
	fmt.Fprintf(&b, "  cause: %s: %s\n", plain(string(s.Cause)), plain(s.Text))
	if s.Rule != "" {
		fmt.Fprintf(&b, "  rule:  %s\n", s.Rule)
	}
	section := func(title string, facts []explain.Fact) {
		for i, fact := range facts {
			if i > 0 {
				title = ""
			}
			fmt.Fprintf(&b, "  %-6s %s  %s\n", title, fact.Time.Local().Format(storyTime), plain(fact.Text))
		}
	}
	section("seen:", s.Seen)
	section("done:", s.Done)
	if s.Next != "" {
		fmt.Fprintf(&b, "  next:  %s\n", s.Next)
	}
	return b.String()
}

// peerText formats what the other node saw.
func peerText(p *explain.Peer) string {
	if p == nil {
		return ""
	}
	text := fmt.Sprintf("  peer:  %s: %s\n", p.Cause, p.Text)
	if p.Story != nil {
		text += "  its last transition:\n    " + strings.ReplaceAll(strings.TrimSuffix(storyText(p.Story), "\n"), "\n", "\n    ") + "\n"
	}
	return text
}

// replayed is the result of a replay of one instance.
type replayed struct {
	Instance    string            `json:"instance"`
	Same        bool              `json:"same"`
	Transitions []flight.Replayed `json:"transitions"`
}

// replay replays the recordings and reports whether the transitions are the same.
func replay(w io.Writer, routers []flight.Router, output string) error {
	same := true
	list := []replayed{}
	for _, r := range routers {
		one := replayed{r.Name, true, flight.Replay(r.Records)}
		for _, t := range one.Transitions {
			one.Same = one.Same && t.Same()
		}
		same = same && one.Same
		list = append(list, one)
	}
	if output == "json" {
		if err := json.NewEncoder(w).Encode(list); err != nil {
			return err
		}
	} else {
		printReplay(w, list)
	}
	if !same {
		return &exitError{2, errors.New("the replay made other transitions than the recording")}
	}
	return nil
}

func printReplay(w io.Writer, list []replayed) {
	for _, r := range list {
		verdict := "the same"
		if !r.Same {
			verdict = "different"
		}
		fmt.Fprintf(w, "%s: %d transitions, %s\n", plain(r.Instance), len(r.Transitions), verdict)
		for _, t := range r.Transitions {
			if !t.Same() {
				fmt.Fprintf(w, "  %s  recorded %s -> %s (%s), replayed %s -> %s (%s)\n", t.Time.Local().Format("2006-01-02 "+storyTime),
					t.Recorded.From, t.Recorded.To, t.Recorded.Reason, t.Replayed.From, t.Replayed.To, t.Replayed.Reason)
			}
		}
	}
}
