package reports

import (
	"fmt"
	"math"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// style paints text, or leaves it as it is when colour is off, and says within how many
// columns tables have to stay; 0 is as wide as they take.
type style struct {
	color bool
	limit int
}

// within is what is left of the limit where a table stands that many columns in.
func (s style) within(indent int) int {
	if s.limit <= 0 {
		return 0
	}
	return max(s.limit-indent, 1)
}

// hang wraps a line that is wider than the limit, under what follows its indent.
func (s style) hang(line string, indent int) string {
	if s.limit <= 0 || textWidth(line) <= s.limit {
		return line
	}
	return Hang(line, indent, s.limit)
}

func (s style) paint(t string, colors ...text.Color) string {
	if !s.color || t == "" {
		return t
	}
	// The escape sequence is written here rather than by Colors.Sprint, whose
	// answer depends on a global that looks at the environment.
	return text.Colors(colors).EscapeSeq() + t + text.EscapeReset
}

func (s style) good(t string) string { return s.paint(t, text.FgGreen) }
func (s style) bad(t string) string  { return s.paint(t, text.FgRed, text.Bold) }
func (s style) held(t string) string { return s.paint(t, text.FgYellow) }
func (s style) dim(t string) string  { return s.paint(t, text.Faint) }
func (s style) head(t string) string { return s.paint(t, text.Bold) }

// newTable returns an empty table without frames, as kubectl's are, that stays within room
// columns unless that is 0.
func newTable(s style, room int) *sheet {
	t := table.NewWriter()
	st := table.StyleLight
	st.Options = table.Options{SeparateHeader: true}
	st.Format.Header = text.FormatDefault
	st.Format.HeaderAlign = text.AlignLeft
	st.Box.PaddingLeft, st.Box.PaddingRight = "", "  "
	if s.color {
		st.Color.Header = text.Colors{text.Bold}
	}
	t.SetStyle(st)
	t.SuppressTrailingSpaces()
	return &sheet{Writer: t, room: room, style: s}
}

// indent puts n spaces before every line that is not empty.
func indent(s string, n int) string {
	pad := strings.Repeat(" ", n)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		l = strings.TrimRight(l, " ")
		if l != "" {
			l = pad + l
		}
		lines[i] = l
	}
	return strings.Join(lines, "\n")
}

// wrap breaks s at spaces into lines of at most width columns; what has no
// space is left long, so that names and messages can be copied whole.
func wrap(s string, width int) []string {
	var out []string
	for _, line := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
		cur := ""
		for i, word := range strings.Split(line, " ") {
			switch {
			case i == 0:
				cur = word
			case textWidth(cur)+1+textWidth(word) > width && strings.TrimSpace(cur) != "":
				out = append(out, cur)
				cur = word
			default:
				cur += " " + word
			}
		}
		out = append(out, cur)
	}
	return out
}

// Duration shows seconds as people say them: 0.45s, 3.2s, 12s, 12m3s, 2h0m5s.
func Duration(seconds float64) string {
	if seconds < 0 {
		return "-" + Duration(-seconds)
	}
	switch {
	case seconds < 0.995:
		return trimZeros(fmt.Sprintf("%.2f", seconds)) + "s"
	case seconds < 59.95:
		return trimZeros(fmt.Sprintf("%.1f", seconds)) + "s"
	}
	n := int64(math.Round(seconds))
	h, m, s := n/3600, n/60%60, n%60
	if h > 0 {
		return fmt.Sprintf("%dh%dm%ds", h, m, s)
	}
	return fmt.Sprintf("%dm%ds", m, s)
}

func trimZeros(s string) string {
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

func durationOrNone(seconds *float64) string {
	if seconds == nil {
		return markNone
	}
	return Duration(*seconds)
}

func cellCount(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", n)
}
