package scenario

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a scenario or with a manifest it
// names, in one line.
type Problem struct {
	// File is the file as the caller or the scenario named it.
	File string
	// Line and Column count from 1; 0 is unknown.
	Line, Column int
	// Message says what is wrong and what to do about it.
	Message string
}

// Error returns "file:line:column: message", leaving out what is unknown.
func (p *Problem) Error() string { return p.Place() + ": " + p.Message }

// Place returns "file:line:column", leaving out what is unknown.
func (p *Problem) Place() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	return b.String()
}

// Problems lists the problems that an error of this package is made of, in
// order; nil if it has none.
func Problems(err error) []*Problem {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var out []*Problem
		for _, sub := range joined.Unwrap() {
			out = append(out, Problems(sub)...)
		}
		return out
	}
	var p *Problem
	if errors.As(err, &p) {
		return []*Problem{p}
	}
	return nil
}

// issue is a problem that is known by the path of its field
// ("cluster.nodePools[0].count") or, in a manifest, by its place.
type issue struct {
	path, message string
	at            *Problem
}

func issuef(path, format string, args ...any) issue {
	return issue{path: path, message: fmt.Sprintf(format, args...)}
}

// join puts problems together, each line once.
func join(problems []*Problem) error {
	seen := map[string]bool{}
	var errs []error
	for _, p := range problems {
		if line := p.Error(); !seen[line] {
			seen[line] = true
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}
