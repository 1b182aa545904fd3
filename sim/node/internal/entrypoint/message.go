package entrypoint

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"time"
)

const (
	// maxMessage is as much as Kubernetes keeps of a termination message.
	maxMessage       = 4096
	compressedPrefix = "tknz:"
	startedAtFormat  = "2006-01-02T15:04:05.000Z07:00"
	tooLong          = "Termination message is above max allowed size 4096, caused by large task result."
)

// Kinds of entries of a termination message.
const (
	kindTaskResult = 1
	kindInternal   = 3
	kindStepResult = 4
)

// Result is an entry of a termination message.
type Result struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Kind  int    `json:"type"`
}

// TaskResult is a result of the Task.
func TaskResult(name, value string) Result {
	return Result{Key: name, Value: value, Kind: kindTaskResult}
}

// StepResult is a result of the step's own.
func StepResult(name, value string) Result {
	return Result{Key: name, Value: value, Kind: kindStepResult}
}

// internal is an entry that Tekton's controller reads for itself.
func internal(key, value string) Result { return Result{Key: key, Value: value, Kind: kindInternal} }

func startedAt(t time.Time) Result { return internal("StartedAt", t.UTC().Format(startedAtFormat)) }

// message writes entries as a termination message; the second result is false if it is
// longer than Kubernetes takes.
func (a Args) message(entries ...Result) (string, bool) {
	raw, err := json.Marshal(entries)
	if err != nil {
		panic(err) // Strings and numbers marshal.
	}
	if a.Compress {
		if small := deflate(raw); len(small) < len(raw) {
			raw = small
		}
	}
	return string(raw), len(raw) <= maxMessage
}

func deflate(raw []byte) []byte {
	var b bytes.Buffer
	b.WriteString(compressedPrefix)
	text := base64.NewEncoder(base64.RawStdEncoding, &b)
	// Writing to a buffer with a level that exists does not fail.
	w, _ := flate.NewWriter(text, flate.BestCompression)
	_, _ = w.Write(raw)
	_ = w.Close()
	_ = text.Close()
	return b.Bytes()
}
