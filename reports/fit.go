package reports

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

const (
	// columnGap is the space after a column.
	columnGap = 2
	// narrowest is the least that a column with longer words is left; a table that needs
	// less is no table.
	narrowest = 8
)

// Columns lays rows out under a header so that no line is wider than width, if that is
// not 0: cells wrap, between words as far as that goes, and rows that are too many columns
// for the width become lists of "name: value". Without a header there are only the rows.
// It ends with a line break.
func Columns(header []string, rows [][]string, width int) string {
	t := newTable(style{}, width)
	t.bare()
	if len(header) > 0 {
		t.AppendHeader(cells(header))
	}
	for _, r := range rows {
		t.AppendRow(cells(r))
	}
	return t.Render() + "\n"
}

// sheet is a table that stays within room columns; 0 is as wide as it takes.
type sheet struct {
	table.Writer
	room   int
	header []table.Row
	rows   []table.Row
	style  style
}

func (t *sheet) AppendHeader(row table.Row, config ...table.RowConfig) {
	t.header = append(t.header, row)
	t.Writer.AppendHeader(row, config...)
}

func (t *sheet) AppendRow(row table.Row, config ...table.RowConfig) {
	t.rows = append(t.rows, row)
	t.Writer.AppendRow(row, config...)
}

// bare leaves the line under the header out.
func (t *sheet) bare() { t.Style().Options.SeparateHeader = false }

// Render is the table, or the list that stands for it.
func (t *sheet) Render() string {
	if t.room <= 0 {
		return t.Writer.Render()
	}
	var natural []int
	// The least that leaves whole all words, those of the rows, and the pieces of words.
	var words, values, pieces []int
	for r, row := range slices.Concat(t.header, t.rows) {
		for i, c := range row {
			if i == len(natural) {
				natural, words, values, pieces = append(natural, 0), append(words, 0), append(values, 0), append(pieces, 0)
			}
			s := fmt.Sprint(c)
			natural[i] = max(natural[i], textWidth(s))
			for _, word := range wordsOf(s) {
				w, piece := glyphsWidth(word), 0
				words[i] = max(words[i], w)
				if r >= len(t.header) {
					values[i] = max(values[i], w)
				}
				for _, g := range word {
					piece += text.RuneWidth(g.r)
					pieces[i] = max(pieces[i], piece)
					if joins(g.r) {
						piece = 0
					}
				}
			}
		}
	}
	least := make([]int, len(pieces))
	for i, p := range pieces {
		values[i] = max(values[i], p)
		least[i] = min(p, narrowest)
	}
	room := t.room
	if !t.Style().Options.SeparateHeader {
		room += columnGap // nothing follows the last column
	}
	widths, ok := fit(room, natural, words, values, pieces, least)
	if !ok {
		return t.list()
	}
	var configs []table.ColumnConfig
	for i, w := range widths {
		if w < natural[i] {
			configs = append(configs, table.ColumnConfig{Number: i + 1, WidthMax: w, WidthMaxEnforcer: wrapCell})
		}
	}
	t.SetColumnConfigs(configs)
	return t.Writer.Render()
}

// list has what each row says, cell by cell, in as few lines as that takes. The
// last header names the columns, that above it what they are of.
func (t *sheet) list() string {
	name := func(i int) string {
		var parts []string
		for _, h := range t.header {
			// A value is written once for the columns under it.
			for j := min(i, len(h)-1); j >= 0; j-- {
				if s := fmt.Sprint(h[j]); s != "" || len(t.header) == 1 {
					parts = append(parts, s)
					break
				}
			}
		}
		return strings.Join(parts, " ")
	}
	var out, last []string
	for _, row := range t.rows {
		line := ""
		for i, c := range row {
			s := strings.Join(strings.Fields(fmt.Sprint(c)), " ")
			if i == len(last) {
				last = append(last, "")
			}
			if s == "" { // as in the row above
				s = last[i]
			}
			last[i] = s
			if s == "" || s == markNone {
				continue
			}
			if len(t.header) > 0 {
				s = t.style.head(name(i)+":") + " " + s
			}
			switch {
			case line == "":
				line = s
			case textWidth(line)+columnGap+textWidth(s) < t.room: // a comma may follow
				line += ", " + s
			default:
				out = append(out, t.wrapped(line+","))
				line = strings.Repeat(" ", columnGap) + s
			}
		}
		out = append(out, t.wrapped(line))
	}
	return strings.Join(out, "\n")
}

// wrapped is a line of a list, with what does not fit under it.
func (t *sheet) wrapped(line string) string {
	if textWidth(line) <= t.room {
		return line
	}
	line = wrapCell(line, t.room-columnGap)
	return strings.Repeat(" ", columnGap) + strings.ReplaceAll(line, "\n", "\n"+strings.Repeat(" ", columnGap))
}

// fit gives each column a width so that they stay within room together: what is wider than
// others shrinks first, at first down to the first floors, then to the others. It is false
// if there is no room for so many.
func fit(room int, natural []int, floors ...[]int) ([]int, bool) {
	widths := slices.Clone(natural)
	over := -room
	for _, w := range widths {
		over += w + columnGap
	}
	for _, floor := range floors {
		for over > 0 {
			widest, top, next := -1, 0, 0
			for i, w := range widths {
				switch {
				case w <= floor[i]:
				case w > top:
					widest, top, next = i, w, top
				default:
					next = max(next, w)
				}
			}
			if widest < 0 {
				break
			}
			// Down to the next widest, or by one where there are several.
			to := max(floor[widest], min(next, top-1), top-over)
			over -= top - to
			widths[widest] = to
		}
	}
	return widths, over <= 0
}

// textWidth is how many columns a terminal takes for s.
func textWidth(s string) int { return text.StringWidthWithoutEscSequences(s) }

// glyph is a character with the escape sequence that is in force for it.
type glyph struct {
	r     rune
	paint string
}

// glyphs takes painted text apart.
func glyphs(s string) []glyph {
	var out []glyph
	paint := ""
	for s != "" {
		if strings.HasPrefix(s, "\x1b[") {
			if end := strings.IndexByte(s, 'm'); end > 0 {
				if paint += s[:end+1]; s[:end+1] == text.EscapeReset {
					paint = ""
				}
				s = s[end+1:]
				continue
			}
		}
		r := []rune(s)[0]
		out = append(out, glyph{r, paint})
		s = s[len(string(r)):]
	}
	return out
}

// Hang wraps what follows the first indent characters of a line under itself, so that no
// line is wider than width.
func Hang(line string, indent, width int) string {
	head := []rune(line)[:indent]
	room := max(width-textWidth(string(head)), 1)
	return string(head) + strings.ReplaceAll(wrapCell(string([]rune(line)[indent:]), room), "\n", "\n"+strings.Repeat(" ", textWidth(string(head))))
}

// wrapCell breaks painted text into lines of at most width columns, between words; a word
// that is longer is broken after a sign that joins its parts, or where the line ends.
func wrapCell(s string, width int) string {
	if textWidth(s) <= width && !strings.Contains(s, "\n") {
		return s
	}
	var lines [][]glyph
	var line []glyph
	used := 0
	flush := func() {
		lines = append(lines, line)
		line, used = nil, 0
	}
	add := func(word []glyph) {
		w := glyphsWidth(word)
		if used > 0 && used+1+w > width {
			flush()
		}
		if used > 0 {
			line = append(line, glyph{' ', ""})
			used++
		}
		for w > width {
			n := breakAt(word, width)
			line = append(line, word[:n]...)
			flush()
			word = word[n:]
			w = glyphsWidth(word)
		}
		line = append(line, word...)
		used += w
	}
	for i, l := range strings.Split(s, "\n") {
		if i > 0 {
			flush()
		}
		for _, word := range wordsOf(l) {
			add(word)
		}
	}
	flush()
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		paint := ""
		for _, g := range l {
			if g.paint != paint {
				if paint != "" {
					b.WriteString(text.EscapeReset)
				}
				b.WriteString(g.paint)
				paint = g.paint
			}
			b.WriteRune(g.r)
		}
		if paint != "" {
			b.WriteString(text.EscapeReset)
		}
	}
	return b.String()
}

// wordsOf are the words of painted text. A sign by itself stays with the word after it.
func wordsOf(s string) [][]glyph {
	var out [][]glyph
	var word []glyph
	for _, g := range append(glyphs(s), glyph{r: ' '}) {
		switch {
		case !unicode.IsSpace(g.r):
			word = append(word, g)
		case len(word) == 1 && !unicode.IsLetter(word[0].r) && !unicode.IsDigit(word[0].r):
			word = append(word, glyph{' ', word[0].paint})
		case len(word) > 0:
			out = append(out, word)
			word = nil
		}
	}
	if len(word) > 0 { // a sign at the end
		out = append(out, word[:1])
	}
	return out
}

// joins says whether a sign joins the parts of a name, so that a line may end after it.
func joins(r rune) bool { return strings.ContainsRune(",;/=-_:|&", r) }

func glyphsWidth(gs []glyph) int {
	w := 0
	for _, g := range gs {
		w += text.RuneWidth(g.r)
	}
	return w
}

// breakAt is how many characters of a long word the line takes.
func breakAt(word []glyph, width int) int {
	used, joint := 0, 0
	for i, g := range word {
		used += text.RuneWidth(g.r)
		if used > width {
			if joint > 0 {
				return joint
			}
			return max(i, 1)
		}
		if joins(g.r) {
			joint = i + 1
		}
	}
	return len(word)
}
