package evidence

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/verdict"
)

// JUnit writes a result as JUnit XML: a suite for each scenario, a case for each
// cell. An outcome that is not the one expected is a failure with its cause, as is a
// run that did not do its work where nothing is expected; a cell that simctl could
// not run is an error. Times are real, as of any test.
func JUnit(w io.Writer, r verdict.RunResult) error {
	var suites junit.Testsuites
	var names []string
	byName := map[string]*junit.Testsuite{}
	wall := map[string]float64{}
	for _, c := range r.Cells {
		s := byName[c.Scenario]
		if s == nil {
			s = &junit.Testsuite{Name: printable(c.Scenario), ID: len(names)}
			byName[c.Scenario] = s
			names = append(names, c.Scenario)
		}
		wall[c.Scenario] += c.WallSeconds
		s.AddTestcase(testCase(c))
	}
	for _, name := range names {
		byName[name].Time = seconds(wall[name])
		suites.AddSuite(*byName[name])
	}
	suites.Name, suites.Time = "simctl", seconds(r.WallSeconds)
	if _, err := io.WriteString(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"); err != nil {
		return fmt.Errorf("writing the result as JUnit XML: %w", err)
	}
	if err := suites.WriteXML(w); err != nil {
		return fmt.Errorf("writing the result as JUnit XML: %w", err)
	}
	return nil
}

func testCase(c verdict.Cell) junit.Testcase {
	t := junit.Testcase{Name: printable(cellName(c)), Classname: printable(c.Scenario), Time: seconds(c.WallSeconds)}
	told := outcomeOf(c)
	switch {
	case c.Outcome == verdict.Error:
		t.Error = &junit.Result{Message: printable(c.Error), Type: string(verdict.Error), Data: printable("simctl could not run the cell: " + c.Error)}
	case c.Fails():
		message := told + ", " + reports.Expectation(c)
		if len(c.Cause) > 0 {
			message += ": " + c.Root().What
		}
		t.Failure = &junit.Result{Message: printable(message), Type: cmp.Or(c.Root().Rule, string(c.Outcome)), Data: printable(chainText(c.Cause) + besides(c))}
	default:
		line := "outcome: " + told + ", " + reports.Expectation(c)
		if c.MakespanSeconds != nil {
			line += ", makespan " + reports.Duration(*c.MakespanSeconds) + " (virtual)"
		}
		line += besides(c)
		t.SystemOut = &junit.Output{Data: printable(line)}
	}
	return t
}

// besides is what the outcome does not tell, a line each.
func besides(c verdict.Cell) string {
	var b strings.Builder
	for _, text := range c.Conduct.Sentences() {
		b.WriteString("\nbesides: " + text)
	}
	return b.String()
}

// outcomeOf says a cell's outcome in words.
func outcomeOf(c verdict.Cell) string {
	if c.Recovered {
		return string(c.Outcome) + " (the run still finished)"
	}
	return string(c.Outcome)
}

// cellName names a cell within its scenario.
func cellName(c verdict.Cell) string {
	var parts []string
	tekton := false
	for _, a := range c.Axes {
		parts = append(parts, a+"="+c.Values[a])
		tekton = tekton || a == "tekton"
	}
	if !tekton {
		parts = append(parts, "tekton="+c.Values["tekton"])
	}
	if c.Repeat > 0 {
		parts = append(parts, "repeat="+strconv.Itoa(c.Repeat))
	}
	return strings.Join(parts, " ")
}

// chainText returns a chain as lines, the symptom first.
func chainText(chain []verdict.Link) string {
	var b strings.Builder
	for i, l := range chain {
		fmt.Fprintf(&b, "%d. %s", i+1, l.What)
		if l.Object != "" && !strings.Contains(l.What, l.Object) {
			fmt.Fprintf(&b, " (%s)", l.Object)
		}
		b.WriteString("\n")
		for _, line := range strings.Split(strings.TrimRight(l.Evidence, "\n"), "\n") {
			if line != "" {
				b.WriteString("   | " + line + "\n")
			}
		}
		if stays := l.Stays(); stays != "" {
			b.WriteString("   | " + stays + "\n")
		}
	}
	return b.String()
}

func seconds(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }

// printable returns s without the characters that XML 1.0 cannot hold, escaped or not.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xd7ff && r != utf8.RuneError, r >= 0xe000 && r <= 0xfffd && r != utf8.RuneError, r >= 0x10000:
			return r
		}
		return '?'
	}, s)
}
