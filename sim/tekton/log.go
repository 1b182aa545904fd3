package tekton

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// noise starts messages that say nothing about the runs.
var noise = []string{
	"TaskRun prepare error",            // returned as an error and logged again
	"Reconcile: ",                      // the same
	"Returned an error",                // the same
	"Error watching config",            // at the end
	"Failed to list ", "Failed to wat", // client-go, when connections close
}

// noisyParts are parts of such messages.
var noisyParts = []string{
	"is after the taskRun started", // the way virtual time is put into TaskRuns
	"the object has been modified", // optimistic concurrency
}

// logReader reads what a controller prints.
type logReader struct {
	pipe *os.File
	out  io.Writer
	busy atomic.Bool
	done chan struct{}

	mu       sync.Mutex
	recorder history.Recorder
	// last is the last line, grave the last one that tells of an error.
	last, grave string
}

func newLogReader(pipe *os.File, out io.Writer) *logReader {
	return &logReader{pipe: pipe, out: out, done: make(chan struct{})}
}

func (l *logReader) setRecorder(r history.Recorder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recorder = r
}

func (l *logReader) record(e history.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.recorder != nil {
		l.recorder.Record(e)
	}
}

// words returns what the process said about its end.
func (l *logReader) words() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grave != "" {
		return l.grave
	}
	return l.last
}

// empty says whether every line that was printed has been taken.
func (l *logReader) empty() bool {
	if l.busy.Load() {
		return false
	}
	raw, err := l.pipe.SyscallConn()
	if err != nil {
		return true // closed
	}
	var n int // bytes in the pipe; 0 if they cannot be counted
	err = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return err != nil || n == 0 && !l.busy.Load()
}

// await waits until there is something in the pipe, or its end, and says that the reader is
// busy before anything is taken out of it.
func (l *logReader) await() error {
	raw, err := l.pipe.SyscallConn()
	if err != nil {
		return fmt.Errorf("reading the controller's log: %w", err)
	}
	err = raw.Read(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor is small
		if n, err := unix.Poll(ready, 0); err == nil && n == 0 {
			return false
		}
		l.busy.Store(true)
		return true
	})
	if err != nil {
		return fmt.Errorf("waiting for the controller's log: %w", err)
	}
	return nil
}

func (l *logReader) read() {
	defer close(l.done)
	defer func() { _ = l.pipe.Close() }()
	in := bufio.NewReaderSize(l.pipe, 64<<10)
	for {
		// Lines that are in the buffer already are not in the pipe any more.
		if in.Buffered() == 0 {
			l.busy.Store(false)
			if err := l.await(); err != nil {
				return
			}
			if _, err := in.Peek(1); err != nil {
				l.busy.Store(false)
				return
			}
		}
		line, err := in.ReadBytes('\n')
		if l.out != nil {
			_, _ = l.out.Write(line)
		}
		l.take(strings.TrimSpace(string(line)))
		if err != nil {
			l.busy.Store(false)
			return
		}
	}
}

// logLine is as much of a line of knative's logger as is used.
type logLine struct {
	Severity string `json:"severity"`
	Level    string `json:"level"`
	Message  string `json:"message"`
	Msg      string `json:"msg"`
	Error    string `json:"error"`
	Kind     string `json:"knative.dev/kind"`
	Key      string `json:"knative.dev/key"`
}

// take looks at one line.
func (l *logReader) take(text string) {
	if text == "" {
		return
	}
	line, ok := parseLine(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = line.Message
	if !ok {
		// Go's own log package, or a panic: the first line has its reason.
		if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") || strings.Contains(text, "rror") {
			l.grave = line.Message
		}
		return
	}
	switch line.Severity {
	case "error", "dpanic", "panic", "fatal":
		l.grave = line.Message
	case "warn", "warning":
	default:
		return
	}
	if l.recorder == nil || noisy(line.Message) {
		return
	}
	l.recorder.Record(history.Entry{
		Kind: history.KindLog, Actor: wellknown.TektonController, Object: line.object(),
		Reason: line.Severity, Message: line.Message,
	})
}

// parseLine returns a line of JSON with its message complete; ok is false for
// anything else, whose text is the message then.
func parseLine(text string) (line logLine, ok bool) {
	if err := json.Unmarshal([]byte(text), &line); err != nil || !strings.HasPrefix(text, "{") {
		// "2006/01/02 15:04:05 words"
		if len(text) > 20 && text[4] == '/' && text[13] == ':' {
			text = text[20:]
		}
		return logLine{Message: text}, false
	}
	if line.Message == "" {
		line.Message = line.Msg
	}
	if line.Severity == "" {
		line.Severity = line.Level
	}
	line.Severity = strings.ToLower(line.Severity)
	if line.Error != "" && !strings.Contains(line.Message, line.Error) {
		line.Message += ": " + line.Error
	}
	return line, true
}

// object names what a line is about, as far as it says.
func (l logLine) object() history.Ref {
	ref := history.Ref{Kind: l.Kind[strings.LastIndexByte(l.Kind, '.')+1:], Name: l.Key}
	if namespace, name, ok := strings.Cut(l.Key, "/"); ok {
		ref.Namespace, ref.Name = namespace, name
	}
	return ref
}

func noisy(message string) bool {
	for _, n := range noise {
		if strings.HasPrefix(message, n) {
			return true
		}
	}
	for _, n := range noisyParts {
		if strings.Contains(message, n) {
			return true
		}
	}
	return false
}
