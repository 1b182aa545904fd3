package tree_test

import (
	"encoding/json"
	"testing"

	"simctl.dev/simctl/sim/internal/tree"
)

func TestTree(t *testing.T) {
	var v any
	if err := json.Unmarshal([]byte(`{"a":{"s":"x","l":[1,2],"n":null,"b":true},"k":"top"}`), &v); err != nil {
		t.Fatal(err)
	}
	if got := tree.Text(v, "a", "s"); got != "x" {
		t.Errorf("text %q", got)
	}
	if got := tree.List(v, "a", "l"); len(got) != 2 {
		t.Errorf("list %v", got)
	}
	if got := tree.Map(v, "a"); got["b"] != true {
		t.Errorf("map %v", got)
	}
	if got := tree.Get(v); got == nil {
		t.Error("the empty path is the tree itself")
	}
	// What is not there, or is something else, is nothing.
	for _, path := range [][]string{{"z"}, {"a", "n"}, {"a", "b"}, {"a", "s", "deeper"}, {"a", "l", "0"}} {
		if tree.Text(v, path...) != "" || tree.List(v, path...) != nil || tree.Map(v, path...) != nil {
			t.Errorf("something at %q", path)
		}
	}
	if tree.Get(v, "a", "s", "deeper") != nil || tree.Get(nil, "a") != nil {
		t.Error("something below nothing")
	}
}

func TestObject(t *testing.T) {
	var o any
	if err := json.Unmarshal([]byte(`{"apiVersion":"tekton.dev/v1beta1","kind":"Task","metadata":{"generateName":"t-"}}`), &o); err != nil {
		t.Fatal(err)
	}
	if !tree.Tekton(o, "Task") || tree.Tekton(o, "Pipeline") || tree.Name(o) != "t-" {
		t.Errorf("a Task is %v, a Pipeline %v, and named %q", tree.Tekton(o, "Task"), tree.Tekton(o, "Pipeline"), tree.Name(o))
	}
	if tree.Tekton(map[string]any{"apiVersion": "v1", "kind": "Task"}, "Task") || tree.Name(nil) != "" {
		t.Error("another API's kind is Tekton's, or nothing has a name")
	}
}
