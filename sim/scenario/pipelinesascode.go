package scenario

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/stub"
)

// Pipelines-as-Code reads a repository's runs from this folder, puts values in the place
// of {{ name }} in their text, and finds tasks by annotations.
const (
	pacFolder     = ".tekton"
	pacAnnotation = "pipelinesascode.tekton.dev/"
)

// pacValues are made-up values of the variables that Pipelines-as-Code itself has: those
// of a pull request.
var pacValues = map[string]string{
	"event": "pull_request", "event_type": "pull_request",
	"git_auth_secret": "pac-gitauth-made-up", "git_tag": "",
	"pull_request_labels": "", "pull_request_number": "1", "trigger_comment": "",
	"repo_name": stub.Value, "repo_owner": stub.Value, "repo_url": "https://example.com/made-up/made-up",
	"revision": strings.Repeat("c0ffee", 7)[:40], "sender": stub.Value,
	"source_branch": stub.Value, "source_url": "https://example.com/made-up/fork",
	"target_branch": "main", "target_namespace": DefaultNamespace,
}

var (
	pacVariable = regexp.MustCompile(`\{\{([^}\n]{2,})\}\}`)
	// A repository's own variables, and what CEL takes out of the event.
	pacOther = regexp.MustCompile(`^[A-Za-z_][\w-]*$|^(body|headers|files)\b`)
	// Tasks are found by task, task-1 and so on, one Pipeline by pipeline.
	pacWhere = regexp.MustCompile(`^` + regexp.QuoteMeta(pacAnnotation) + `(task(-\d+)?|pipeline)$`)
)

// forPac says whether a file is one for Pipelines-as-Code.
func forPac(name string, content []byte) bool {
	return slices.Contains(strings.Split(filepath.ToSlash(name), "/"), pacFolder) || strings.Contains(string(content), pacAnnotation)
}

// pacFill puts made-up values in the place of a document's variables, and says of which.
// Other braces stay, as with Pipelines-as-Code.
func pacFill(doc []byte) (filled []byte, names []string) {
	filled = pacVariable.ReplaceAllFunc(doc, func(braces []byte) []byte {
		name := strings.TrimSpace(strings.Trim(string(braces), "{}"))
		value, ok := pacValues[name]
		if !ok && !pacOther.MatchString(name) {
			return braces
		}
		if !ok {
			value = stub.Value
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return []byte(value)
	})
	slices.Sort(names)
	return filled, names
}

// pacRun makes of a run what Pipelines-as-Code makes of it, and marks it as having values
// that were made up.
func (o *object) pacRun(names []string) {
	if name := tree.Text(o.data, "metadata", "name"); name != "" && tree.Text(o.data, "metadata", "generateName") == "" {
		set(o.data, name+"-", "metadata", "generateName")
		delete(tree.Map(o.data, "metadata"), "name")
	}
	if len(names) > 0 && tree.Map(o.data, "metadata") != nil {
		set(o.data, "its values of "+strings.Join(names, ", "), "metadata", "annotations", stub.Annotation)
	}
}

// pacFiles reads the files of the repository in which annotations of Pipelines-as-Code
// find tasks and Pipelines, and those that these name in turn. What they would fetch from
// elsewhere is found by its name if it is given.
func (r *reader) pacFiles() {
	for i := 0; i < len(r.objects); i++ {
		o := r.objects[i]
		root := pacRoot(o.file)
		if root == "" || !o.tekton("PipelineRun") && !o.tekton("Pipeline") {
			continue
		}
		annotations := tree.Map(o.data, "metadata", "annotations")
		for _, key := range sortedKeys(annotations) {
			if !pacWhere.MatchString(key) {
				continue
			}
			for _, file := range strings.Split(strings.Trim(tree.Text(annotations, key), "[] \n"), ",") {
				file = strings.Trim(file, `"' `)
				full := filepath.Join(root, file)
				if !strings.Contains(file, "/") || strings.Contains(file, "://") || r.files[filepath.Clean(full)] || !fileExists(full) {
					continue
				}
				if err := r.file(full, false); err != nil {
					r.problems = append(r.problems, o.problem([]any{"metadata", "annotations", key}, "%v", err))
				}
			}
		}
	}
}

// pacRoot is the folder of the repository that a file is in; "" if that is not known.
func pacRoot(file string) string {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		if filepath.Base(dir) == pacFolder {
			return filepath.Dir(dir)
		}
		if dir == "." { // the folder above may be it
			if wd, err := os.Getwd(); err == nil && filepath.Base(wd) == pacFolder {
				return ".."
			}
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}
