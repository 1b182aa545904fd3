package stepper

import "testing"

// TestIdling: only a controller that is woken for nothing without time going on is
// so for ever.
func TestIdling(t *testing.T) {
	for _, c := range []struct {
		name  string
		every float64 // seconds between two time-outs
		write int     // one in so many changes something; 0 is none
		want  bool
	}{
		{"at one moment", 0.001, 0, true},
		{"every minute for a day", 60, 0, false},
		{"with an effect now and then", 0.001, 150, false},
		{"once a second", 1, 0, true},
		{"slowly", 2, 0, false},
	} {
		var i idling
		got := false
		entries := 10
		for n := range 1440 {
			if c.write > 0 && n%c.write == 0 {
				entries++
			}
			got = got || i.step(entries, float64(n)*c.every)
		}
		if got != c.want {
			t.Errorf("%s: for ever is %t", c.name, got)
		}
	}
}
