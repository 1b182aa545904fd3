package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/jedib0t/go-pretty/v6/text"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// liveView is what a terminal shows of a run while it goes on: how far it is and what is
// left, the builds, and the matrix as it fills. It is a value; what it becomes and what it
// looks like are pure functions.
type liveView struct {
	width, height int
	// most, unless 0, is the width that the user wants of a wider terminal.
	most int
	// cells are all of the run; those without an outcome have none yet.
	cells []verdict.Cell
	at    map[string]int // their places by ID
	// running and done are places of cells, in the order of events; before is how many had
	// a result when the view began.
	running, done []int
	before        int
	builds        []liveBuild
	// status is the last word on what is neither a cell nor a build.
	status string
	// begun is when the first cell was started, now when the clock ticked last.
	begun, now time.Time
	closed     bool
}

// liveBuild is a build that goes on, and how far it is.
type liveBuild struct{ name, says string }

// Messages besides [Event] and tea's own.
type (
	liveTick  time.Time
	liveClose struct{}
)

// newLiveView begins with all cells of a run, of which some have a result; those to
// come are nil.
func newLiveView(cells []scenario.Cell, results []*verdict.Cell) liveView {
	v := liveView{at: map[string]int{}, cells: make([]verdict.Cell, len(cells))}
	for i, c := range cells {
		v.at[c.ID()] = i
		v.cells[i] = verdict.Cell{ID: c.ID(), Scenario: c.Scenario, Axes: c.Axes, Values: c.Values, Repeat: c.Repeat}
		if r := results[i]; r != nil {
			v.cells[i] = *r
			v.done = append(v.done, i)
			v.before++
		}
	}
	return v
}

// next is the view after a message.
func (v liveView) next(msg any) liveView {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		v.width, v.height = msg.Width, msg.Height
		if v.most > 0 {
			v.width = min(v.width, v.most)
		}
	case liveTick:
		v.now = time.Time(msg)
	case liveClose:
		v.closed = true
	case Event:
		return v.event(msg)
	}
	return v
}

func (v liveView) event(e Event) liveView {
	i, known := 0, false
	if e.Cell != nil {
		i, known = v.at[e.Cell.ID()]
	}
	switch e.Kind {
	case EventBuild, EventBuilt:
		// What is no release says its name in the message.
		name, says := e.Release, e.Message
		if name == "" {
			name, says, _ = strings.Cut(e.Message, ": ")
		}
		v.builds = slices.DeleteFunc(slices.Clone(v.builds), func(b liveBuild) bool { return b.name == name })
		if e.Kind == EventBuild {
			title := name
			if e.Release != "" {
				title = "Tekton " + name
			}
			v.builds = append(v.builds, liveBuild{name: name, says: title + ": " + says})
		}
	case EventControlPlane:
		v.status = e.Message
	case EventCellStarted:
		if known {
			v.running = append(slices.Clone(v.running), i)
			v.status = ""
			if v.begun.IsZero() {
				v.begun = v.now
			}
		}
	case EventCellDone:
		if known && e.Result != nil {
			v.running = slices.DeleteFunc(slices.Clone(v.running), func(r int) bool { return r == i })
			v.cells = slices.Clone(v.cells)
			v.cells[i] = *e.Result
			v.done = append(slices.Clone(v.done), i)
		}
	}
	return v
}

// String is what the terminal shows, in lines that are no wider and no more than it has
// room for.
func (v liveView) String() string {
	if v.closed || v.width <= 0 || v.height <= 1 {
		return ""
	}
	lines := []string{v.bar()}
	for _, b := range v.builds {
		lines = append(lines, shorten(b.says, v.width))
	}
	if v.status != "" {
		lines = append(lines, shorten(v.status, v.width))
	}
	for _, i := range v.running {
		lines = append(lines, shorten("running "+cellTitle(v.cells[i]), v.width))
	}
	lines = lines[:min(len(lines), v.height-1)]
	// The last line stays free, for the cursor.
	if room := v.height - len(lines) - 2; room > 0 && len(v.done) > 0 {
		lines = append(append(lines, ""), v.cellLines(room)...)
	}
	return strings.Join(lines, "\n")
}

// bar is the line that says how far the run is.
func (v liveView) bar() string {
	total, done := len(v.cells), len(v.done)
	says := fmt.Sprintf("%d of %s", done, cellCount(total))
	unexpected := 0
	for _, i := range v.done {
		if reports.Deviates(v.cells[i]) {
			unexpected++
		}
	}
	if unexpected > 0 {
		says += fmt.Sprintf(", %d not as expected", unexpected)
	}
	if took := v.now.Sub(v.begun); !v.begun.IsZero() && took > 0 {
		says += ", " + took.Round(time.Second).String()
		// The first cell has a control plane to wait for.
		if here := done - v.before; here > 1 && done < total {
			says += fmt.Sprintf(", about %s left", (took * time.Duration(total-done) / time.Duration(here)).Round(time.Second))
		}
	}
	const length = 20
	if v.width < length+3+len(says) {
		return shorten(says, v.width)
	}
	full := length * done / max(total, 1)
	return strings.Repeat("█", full) + strings.Repeat("░", length-full) + "  " + says
}

// cellLines are the matrices as far as they are filled, if they fit into that many lines;
// otherwise what came last, after what is not as expected.
func (v liveView) cellLines(room int) []string {
	// What is larger cannot fit, and would take long to lay out.
	if len(v.cells) <= 16*room {
		cells := slices.Clone(v.cells)
		for i := range cells {
			if cells[i].Outcome == "" {
				cells[i].Outcome = "…"
			}
		}
		matrix := strings.TrimRight(reports.Matrix(cells, reports.Options{Width: v.width, Color: true, Fold: reports.FoldNever}), "\n")
		if lines := strings.Split(matrix, "\n"); len(lines) <= room {
			return lines
		}
	}
	var first, others []int
	for _, i := range slices.Backward(v.done) {
		if reports.Deviates(v.cells[i]) {
			first = append(first, i)
		} else {
			others = append(others, i)
		}
	}
	shown := append(first, others...)
	more := 0
	if len(shown) > room {
		more = len(shown) - room + 1
		shown = shown[:room-1]
	}
	var out []string
	for _, i := range shown {
		c := v.cells[i]
		line := shorten(fmt.Sprintf("%s %-13s %s", reports.Mark(c), c.Outcome, cellTitle(c)), v.width)
		if reports.Deviates(c) {
			line = text.FgRed.EscapeSeq() + line + text.EscapeReset
		}
		out = append(out, line)
	}
	if more > 0 {
		out = append(out, shorten(fmt.Sprintf("and %d more", more), v.width))
	}
	return out
}

// cellTitle names a cell with its repeat.
func cellTitle(c verdict.Cell) string {
	t := reports.CellName(c.Scenario, c.Axes, c.Values)
	if c.Repeat > 0 {
		t += fmt.Sprintf(" #%d", c.Repeat+1)
	}
	return t
}

// liveProgram shows a view on a terminal.
type liveProgram struct {
	view liveView
	now  func() time.Time
}

// liveEvery is how often the view's clock ticks. It is the user's time, not the
// simulation's.
const liveEvery = 500 * time.Millisecond

func (p liveProgram) tick() tea.Msg { return liveTick(p.now()) }

// Init implements [tea.Model].
func (p liveProgram) Init() tea.Cmd { return p.tick }

// Update implements [tea.Model].
func (p liveProgram) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	p.view = p.view.next(msg)
	switch msg.(type) {
	case liveTick:
		return p, tea.Tick(liveEvery, func(time.Time) tea.Msg { return p.tick() })
	case liveClose:
		return p, tea.Quit
	}
	return p, nil
}

// View implements [tea.Model].
func (p liveProgram) View() tea.View { return tea.NewView(p.view.String()) }

// onScreen is a view that is on the terminal.
type onScreen struct {
	program *tea.Program
	ended   chan struct{}
}

// startLive puts a view on the terminal w. It reads nothing from there, so that Ctrl-C
// remains a signal, and takes none.
func startLive(w io.Writer, width int, view liveView, now func() time.Time) *onScreen {
	view.most = columns()
	options := []tea.ProgramOption{tea.WithInput(nil), tea.WithoutSignalHandler()}
	if f, ok := w.(interface{ Fd() uintptr }); ok {
		options = append(options, tea.WithOutput(screen{w, f.Fd()}))
	} else {
		const someHeight = 24
		options = append(options, tea.WithOutput(w), tea.WithWindowSize(width, someHeight))
	}
	l := &onScreen{program: tea.NewProgram(liveProgram{view: view, now: now}, options...), ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		// If it cannot be shown, the run goes on in plain lines.
		_, _ = l.program.Run()
	}()
	return l
}

// shows says whether the view is still there.
func (l *onScreen) shows() bool {
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// stop takes the view away and leaves the terminal as it was.
func (l *onScreen) stop() {
	l.program.Send(liveClose{})
	<-l.ended
}

// screen is a terminal that is only written to.
type screen struct {
	io.Writer
	fd uintptr
}

// Fd is the terminal's descriptor, by which its size is asked for.
func (s screen) Fd() uintptr { return s.fd }

// Read implements the interface of a file.
func (screen) Read([]byte) (int, error) { return 0, io.EOF }

// Close implements the interface of a file; the terminal is not the view's.
func (screen) Close() error { return nil }

// shorten cuts s to n columns of a terminal.
func shorten(s string, n int) string {
	if text.StringWidthWithoutEscSequences(s) <= n {
		return s
	}
	return text.Snip(s, n, "…")
}
