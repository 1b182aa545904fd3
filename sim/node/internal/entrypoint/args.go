package entrypoint

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Args are the entrypoint's arguments that matter here.
type Args struct {
	// WaitsForReady says that the step's wait file is the one of the ready annotation.
	WaitsForReady bool
	// OnError is "continue" or "stopAndFail".
	OnError string
	// Timeout is the step's; 0 is none.
	Timeout time.Duration
	// Results are the names of the Task's results, StepResults of the step's own.
	Results, StepResults []string
	When                 []When
	// ResultsFromSidecar says that a sidecar prints the results in place of the
	// termination message.
	ResultsFromSidecar bool
	// Compress says that a termination message is compressed if it is smaller for it.
	Compress bool
}

// When is a when expression.
type When struct {
	Input    string   `json:"input"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
	CEL      string   `json:"cel"`
}

// Parse reads a container's arguments up to the "--" behind which the program's own
// begin.
func Parse(args []string) Args {
	var out Args
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag {
			continue
		}
		name = strings.TrimPrefix(name, "-")
		name, value, hasValue := strings.Cut(name, "=")
		next := func() string {
			if hasValue {
				return value
			}
			if i+1 < len(args) && args[i+1] != "--" {
				i++
				return args[i]
			}
			return ""
		}
		switch name {
		case "wait_file":
			out.WaitsForReady = next() == readyFile
		case "on_error":
			out.OnError = next()
		case "timeout":
			if d, err := time.ParseDuration(next()); err == nil {
				out.Timeout = d
			}
		case "results":
			out.Results = Names(next())
		case "step_results":
			out.StepResults = Names(next())
		case "result_from":
			out.ResultsFromSidecar = next() == "sidecar-logs"
		case "compress_termination_message":
			out.Compress = !hasValue || value == "true"
		case "when_expressions":
			// What does not parse is no reason to skip a step.
			_ = json.Unmarshal([]byte(next()), &out.When)
		case "post_file", "termination_path", "step_metadata_dir", "stdout_path", "stderr_path", "entrypoint":
			next()
		}
	}
	return out
}

// Names returns the names in a list of them with commas.
func Names(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

// skips says whether a step's when expressions keep it from running. Only in
// and notin are judged; values that come from other steps are taken as true.
func (a Args) skips() bool {
	for _, w := range a.When {
		if w.CEL != "" || strings.Contains(w.Input+strings.Join(w.Values, ""), "$(") {
			continue
		}
		in := slices.Contains(w.Values, w.Input)
		if w.Operator == "in" && !in || w.Operator == "notin" && in {
			return true
		}
	}
	return false
}
