package evidence

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
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
	b.run(chromedp.Click(chromedp.Search(`//label[span[text()="fsgroup-in-range"]]`)))
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

	// Nothing is wider than a narrow window, but for what scrolls by itself.
	b.run(chromedp.EmulateViewport(420, 900))
	if over := eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		t.Errorf("the page is %d pixels wider than a narrow window", over)
	}

	// Light and dark are two pages.
	background := `getComputedStyle(document.body).backgroundColor`
	colors := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		b.run(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
		colors[eval[string](b, background)] = true
	}
	if len(colors) != 2 {
		t.Errorf("light and dark have the background %v", colors)
	}

	// Printed, it is several pages.
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(pdf), "%PDF-") || strings.Count(string(pdf), "/Type /Page\n") < 3 {
		t.Errorf("the print has %d bytes and %d pages", len(pdf), strings.Count(string(pdf), "/Type /Page\n"))
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
	b.run(chromedp.Click(chromedp.CSS(`#scenario-1 fieldset:nth-of-type(1) label:nth-of-type(2)`)),
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
