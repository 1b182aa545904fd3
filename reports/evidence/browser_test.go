package evidence

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// browsers are the names under which Chromium may be installed.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// tab is a page in a real browser, with what went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
	requests []string
}

// open loads a page from a file, in a browser without network.
func open(t *testing.T, page []byte) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts a browser")
	}
	path := ""
	for _, name := range browsers {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here: apt-get install chromium")
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
	// Chromium's own sandbox does not start as root, as in a container.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"), chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	listen := chromedp.Listen(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventConsoleAPICalled:
			b.problems = append(b.problems, "console: "+string(ev.Type))
		case *runtime.EventExceptionThrown:
			b.problems = append(b.problems, "exception: "+ev.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			b.problems = append(b.problems, "log: "+ev.Entry.Text)
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, ev.Request.URL)
		}
	})
	if listen != nil {
		t.Fatal(listen)
	}
	address := (&url.URL{Scheme: "file", Path: file}).String()
	b.run(call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}), call(runtime.Enable, cdp.Empty{}),
		chromedp.Navigate(address))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if r != address {
			t.Errorf("the page asked for %s", r)
		}
	}
	return b
}

// call is a command of the protocol as a step.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of an expression.
func eval[V any](b *tab, expression string) V {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[V](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// quiet fails the test if the browser had anything to complain about.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.problems) > 0 {
		b.t.Errorf("the browser says %s", strings.Join(b.problems, "; "))
	}
}

// visible counts the elements that are shown.
const visible = `(s) => [...document.querySelectorAll(s)].filter(e => e.getClientRects().length > 0).length`

func TestPageInABrowser(t *testing.T) {
	b := open(t, pageOf(t, load(t, "incident")))

	if title := eval[string](b, "document.title"); !strings.Contains(title, "incident") {
		t.Errorf("the title is %q", title)
	}
	if lost := eval[[]string](b, `[...document.querySelectorAll("a[href]")].map(a => a.getAttribute("href")).filter(h => !h.startsWith("#") || !document.getElementById(h.slice(1)))`); len(lost) > 0 {
		t.Errorf("links that do not land: %q", lost)
	}
	// A click on a cell of the matrix leads to its section.
	b.run(chromedp.Click(chromedp.CSS(`.matrix a.chip[href*="coschedule-disabled"]`)))
	if at := eval[float64](b, `document.querySelector(location.hash).getBoundingClientRect().top`); at < -1 || at > 200 {
		t.Errorf("the section of the cell is at %v of the window", at)
	}

	// The filter hides the other cells, in the matrix and below.
	count := func(selector string) int { return eval[int](b, "("+visible+`)("`+selector+`")`) }
	if rows, cells := count(".matrix tbody tr"), count("section.cell"); rows != 5 || cells != 5 {
		t.Fatalf("%d rows and %d sections are shown, want 5 of each", rows, cells)
	}
	b.run(chromedp.Click(chromedp.CSS(`.filter summary`)), chromedp.Click(chromedp.Search(`//label[span[text()="fsgroup-in-range"]]`)))
	if rows, cells := count(".matrix tbody tr"), count("section.cell"); rows != 1 || cells != 1 {
		t.Errorf("filtered, %d rows and %d sections are shown, want one of each", rows, cells)
	}
	if row := eval[string](b, `[...document.querySelectorAll(".matrix tbody tr")].find(e => e.getClientRects().length).innerText`); !strings.Contains(row, "fsgroup-in-range") {
		t.Errorf("the row that is left is %q", row)
	}
	b.run(chromedp.Click(chromedp.Search(`//label[span[text()="any"]]`)))
	if rows := count(".matrix tbody tr"); rows != 5 {
		t.Errorf("with the filter off %d rows are shown", rows)
	}
	b.quiet()
}

// broken returns the words in cells of tables that do not stand on one line.
const broken = `(() => {
	const out = []
	for (const cell of document.querySelectorAll("td, th")) {
		const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT)
		for (let n; (n = texts.nextNode());) {
			if (n.parentElement.closest("svg") || !n.parentElement.getClientRects().length) continue
			for (const m of n.data.matchAll(/[A-Za-z0-9]+/g)) {
				const r = document.createRange()
				r.setStart(n, m.index)
				r.setEnd(n, m.index + m[0].length)
				if (new Set([...r.getClientRects()].map(x => Math.round(x.top))).size > 1) out.push(m[0])
			}
		}
	}
	return out
})()`

// media has the page shown on a medium, in light or in dark.
func (b *tab) media(medium, scheme string) {
	b.t.Helper()
	b.run(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: medium,
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
}

// twentySix is a run of 26 cells with the histories of the incident, half of which stop for
// six reasons.
func twentySix(t *testing.T) Input {
	t.Helper()
	of := load(t, "incident")
	stuck, well := of.Result.Cells[0], of.Result.Cells[2]
	axes := []string{"affinityAssistant", "storage"}
	in := Input{Result: of.Result, Specs: map[string]*scenario.Cell{}}
	in.Result.Cells = nil
	from := map[string]string{}
	for i := range 26 {
		c := well
		if i%2 == 0 {
			c = stuck
			c.Cause = slices.Clone(c.Cause)
			c.Cause[len(c.Cause)-1].Object = fmt.Sprintf("ServiceAccount private-ai-demo/account-%d", i/2%6)
		}
		original := scenario.IDOf(c)
		c.Axes, c.Values = axes, map[string]string{"tekton": c.Values["tekton"], axes[0]: fmt.Sprintf("one-per-workspace-%d", i/2), axes[1]: []string{"ReadWriteOnce", "ReadWriteMany"}[i%2]}
		in.Specs[scenario.IDOf(c)], from[scenario.IDOf(c)] = of.Specs[original], original
		in.Result.Cells = append(in.Result.Cells, c)
	}
	in.History = func(id string) ([]history.Entry, error) { return of.History(from[id]) }
	return in
}

// A report is read on a phone, on a tablet and on a desk, by day and by night.
func TestWidthsInABrowser(t *testing.T) {
	b := open(t, pageOf(t, twentySix(t)))
	for _, width := range []int64{400, 768, 1440} {
		b.run(chromedp.EmulateViewport(width, 900))
		colors := map[string]bool{}
		for _, scheme := range []string{"light", "dark"} {
			b.media("screen", scheme)
			if over := eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("%d pixels, %s: the page is %d pixels wider than the window", width, scheme, over)
			}
			if high := eval[float64](b, `Math.max(...[...document.querySelectorAll(".matrix tbody tr")].map(r => r.getBoundingClientRect().height))`); high > 64 || high < 16 {
				t.Errorf("%d pixels, %s: a row of the matrix is %v pixels high", width, scheme, high)
			}
			if words := eval[[]string](b, broken); len(words) > 0 {
				t.Errorf("%d pixels, %s: words are broken: %q", width, scheme, words)
			}
			colors[eval[string](b, `getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color`)] = true
		}
		if len(colors) != 2 {
			t.Errorf("%d pixels: light and dark look like %v", width, colors)
		}
	}
	// The word that a phone has no room for is still there for who listens.
	b.run(chromedp.EmulateViewport(400, 900))
	if text := eval[string](b, `document.querySelector(".matrix .chip").textContent`); !strings.Contains(text, "deadlock") {
		t.Errorf("the first cell says %q", text)
	}
	b.quiet()
}

// Printed, a report has each root cause by one cell, on few pages.
func TestPrintInABrowser(t *testing.T) {
	in := twentySix(t)
	causes := len(build(t, in).Causes)
	b := open(t, pageOf(t, in))
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil {
		t.Fatal(err)
	}
	n := strings.Count(string(pdf), "/Type /Page\n")
	t.Logf("%d cells with %d causes are %d pages", len(in.Result.Cells), causes, n)
	if n < 3 || n > 12 {
		t.Errorf("%d cells are printed on %d pages, want 3 to 12", len(in.Result.Cells), n)
	}
	// A page of A4 without its margins.
	b.run(chromedp.EmulateViewport(695, 1000))
	b.media("print", "dark")
	if cells := eval[int](b, "("+visible+`)("section.cell")`); cells != causes || causes != 6 {
		t.Errorf("%d cells are printed for %d causes, want 6", cells, causes)
	}
	if words := eval[[]string](b, broken); len(words) > 0 {
		t.Errorf("words are broken: %q", words)
	}
	if ground := eval[string](b, `getComputedStyle(document.body).backgroundColor`); ground != "rgb(255, 255, 255)" {
		t.Errorf("it is printed on %s", ground)
	}
	b.quiet()
}

// A page is readable where scripts are switched off: it has none.
func TestPageWithoutScripts(t *testing.T) {
	page := pageOf(t, load(t, "incident"))
	b := open(t, page)
	before := eval[int](b, "document.body.innerText.length")
	b.run(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Reload())
	if after := eval[int](b, "document.body.innerText.length"); after != before {
		t.Errorf("without scripts there are %d characters, with them %d", after, before)
	}
	b.quiet()
}

func TestManyCellsInABrowser(t *testing.T) {
	b := open(t, pageOf(t, manyCells(500)))
	took := eval[[]float64](b, `(n => [n.responseEnd, n.domInteractive, n.loadEventEnd])(performance.getEntriesByType("navigation")[0])`)
	t.Logf("500 cells were read, parsed and loaded after %.0f ms", took)
	if n := eval[int](b, `document.querySelectorAll(".matrix a.chip").length`); n != 500 {
		t.Errorf("the matrices have %d cells", n)
	}
	// Two filters together: 5 of the values are left in the first matrix.
	b.run(chromedp.Click(chromedp.CSS(`#scenario-1 .filter summary`)), chromedp.Click(chromedp.CSS(`#scenario-1 fieldset:nth-of-type(1) label:nth-of-type(2)`)),
		chromedp.Click(chromedp.CSS(`#scenario-1 fieldset:nth-of-type(2) label:nth-of-type(3)`)))
	if n := eval[int](b, "("+visible+`)("#scenario-1 .matrix a.chip")`); n != 9 {
		t.Errorf("filtered by two axes, %d cells are shown, want 9", n)
	}
	b.quiet()
}

// Names with markup in them do nothing.
func TestHostilePageInABrowser(t *testing.T) {
	in := deviating()
	b := open(t, pageOf(t, in))
	if n := eval[int](b, `document.querySelectorAll("script").length`); n != 0 {
		t.Errorf("%d scripts came through", n)
	}
	b.quiet()
}
