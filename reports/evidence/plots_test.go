package evidence

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

func did(makespan, attach, pull float64) verdict.Cell {
	return verdict.Cell{Finding: verdict.Finding{Outcome: verdict.Success, MakespanSeconds: &makespan,
		Timing: verdict.Timing{AttachSeconds: attach, PullSeconds: pull}}}
}

// wellFormed reads s as XML and gives its texts.
func wellFormed(t *testing.T, s string) []string {
	t.Helper()
	var texts []string
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, s)
		}
		if c, ok := tok.(xml.CharData); ok && strings.TrimSpace(string(c)) != "" {
			texts = append(texts, strings.TrimSpace(string(c)))
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Errorf("there is a script in\n%s", s)
		}
	}
}

func TestPlots(t *testing.T) {
	repeated := option{Label: "repeated"}
	for i := range 9 {
		repeated.Cells = append(repeated.Cells, did(600+60*float64(i), 10, 5))
	}
	hostile := option{Label: `<script>alert("1")</script> & naïve`, Cells: []verdict.Cell{did(1200, 200, 10)}}
	for name, draw := range map[string]func([]option) (string, error){"makespans": plotMakespans, "losses": plotLosses} {
		t.Run(name, func(t *testing.T) {
			if s, err := draw(nil); err != nil || s != "" {
				t.Errorf("no options gave %q, %v", s, err)
			}
			s, err := draw([]option{repeated, hostile})
			if err != nil {
				t.Fatal(err)
			}
			texts := strings.Join(wellFormed(t, s), "\n")
			for _, want := range []string{"repeated", hostile.Label, "virtual time"} {
				if !strings.Contains(texts, want) {
					t.Errorf("the plot does not say %q:\n%s", want, texts)
				}
			}
			again, err := draw([]option{repeated, hostile})
			if err != nil || again != s {
				t.Errorf("drawn again it differs: %v", err)
			}
		})
	}
	if s, err := plotLosses([]option{{Label: "none", Cells: []verdict.Cell{did(10, 0, 0)}}}); err != nil || s != "" {
		t.Errorf("nothing lost was drawn: %v %q", err, s)
	}
}

func TestTimeLineDrawn(t *testing.T) {
	tl := TimeLine{End: 3600, Bars: []Bar{
		{Name: "build", Node: "worker-0", Spans: []Span{{Phase: Attaching, From: 0, To: 300}, {Phase: Running, From: 300, To: 900}}},
		{Name: "data", Node: "worker-0", Volume: true, Spans: []Span{{Phase: Attached, From: 300, To: 1000}}},
		{Name: "data", Node: "worker-0", Volume: true, Spans: []Span{{Phase: Attached, From: 1500, To: 2000}}},
		{Name: `<script>"push"</script>`, Spans: []Span{{Phase: Scheduling, From: 900, To: 3600, Open: true}}},
	}, Marks: []Mark{{T: 950, Text: "flags <set>", Kind: "intervention"}, {T: 3600, Text: "over", Kind: "end"}}}
	s := tl.SVG(`a "cell" & more`)
	texts := wellFormed(t, s)
	for want, times := range map[string]int{"worker-0": 1, "no node": 1, "build": 1, "volume data": 1, "pending, never ended": 1,
		`<script>"push"</script>`: 1, "15m50s: flags <set>": 1, "10m0s": 2} {
		n := 0
		for _, text := range texts {
			if text == want {
				n++
			}
		}
		if n != times {
			t.Errorf("%q is there %d times, want %d, in %q", want, n, times, texts)
		}
	}
	if n := strings.Count(s, `class="ph-attached"`); n != 2 {
		t.Errorf("%d attachments are drawn, want 2", n)
	}
	wellFormed(t, tl.Mini())
	if (TimeLine{}).Mini() != "" {
		t.Error("a time line without pods was drawn")
	}
}
