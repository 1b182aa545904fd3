package scenario

import (
	"strings"
	"time"
)

// ClockShift is the clock of Tekton's controller that goes wrong.
type ClockShift struct {
	// By is by how much it is ahead, a Go duration; "-10m" is behind.
	By string `json:"by"`
	// For is how long it lasts, in virtual time; a Go duration. Without it, for good.
	For string `json:"for,omitempty"`
}

// Words say how far it is ahead or behind.
func (s *ClockShift) Words() string {
	if back, behind := strings.CutPrefix(s.By, "-"); behind {
		return back + " behind"
	}
	return s.By + " ahead"
}

func clockShiftAction() action {
	return action{
		field: "clockShift",
		given: func(v *Intervention) bool { return v.ClockShift != nil },
		what: func(v *Intervention) string {
			return "set the clock of Tekton's controller " + v.ClockShift.Words() + lasting(v.ClockShift.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			switch d, err := time.ParseDuration(v.ClockShift.By); {
			case v.ClockShift.By == "":
				c.add(at+".by", "%s says not by how much; give it by, as 10m or -10m", at)
			case err != nil:
				c.add(at+".by", "%s.by: %q is no time; write it as 10m, or -10m for a clock that is behind", at, v.ClockShift.By)
			case d == 0 || d.Abs() > longestShift:
				c.add(at+".by", "%s.by is %s; valid: up to %s, and not 0", at, v.ClockShift.By, longestShift)
			}
			c.span(at+".for", v.ClockShift.For)
		},
		faults: []Fault{{
			Name: "clock-ahead", Rule: "fault/clock",
			Does:      "The clock of the machine on which Tekton's controller runs is ahead: what it takes for up is not.",
			Real:      "the controller, which holds its own time against startTime and creationTimestamp",
			Simulated: "the clock; what the controller waits for with a timer is not sooner for it",
			Timers: []Timer{
				{Is: "the time of a run by default, in minutes (`default-timeout-minutes`)", Value: "60", Package: tektonConfig, Symbol: "DefaultTimeoutMinutes"},
			},
			Remedies: []string{"a clock that is kept right (chrony), and an alert when it is not", "`retries` do not help: every attempt is held against the same clock"},
			Example: `
- when: {task: build-image, phase: running}
  after: 1m
  clockShift: {by: 2h, for: 10m}
`,
		}},
	}
}

// longestShift is how far a clock can be wrong.
const longestShift = 30 * 24 * time.Hour
