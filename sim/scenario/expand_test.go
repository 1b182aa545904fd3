package scenario

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func load(t *testing.T, name string) *File {
	t.Helper()
	f, err := Load("testdata/good/" + name + "/scenario.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// short writes a cell as its values in the order of its axes, then the version.
func short(c Cell) string {
	var parts []string
	for _, a := range c.Axes {
		parts = append(parts, c.Values[a])
	}
	return strings.Join(parts, " ") + " on " + c.Spec.Tekton.Version
}

func TestOptions(t *testing.T) {
	seed, repeats, none := int64(99), 1, 0
	tests := []struct {
		name, scenario string
		options        Options
		want           []string
		wantErr        string
	}{
		{name: "an axis is cut down", scenario: "shorthands",
			options: Options{Repeats: &repeats, Set: map[string][]string{"tekton": {"v1.15.0"}}},
			want:    []string{"1.15.0 absent builder-sa on 1.15.0"}},
		{name: "an axis is added", scenario: "plain",
			options: Options{Set: map[string][]string{"coschedule": {"disabled", "workspaces"}}},
			want:    []string{"disabled on 1.15.0", "workspaces on 1.15.0"}},
		{name: "versions are added", scenario: "plain",
			options: Options{Versions: []string{"v1.3.1", "1.3.1", "0.68.1"}},
			want:    []string{"1.3.1 on 1.3.1", "0.68.1 on 0.68.1"}},
		{name: "versions as an axis", scenario: "plain",
			options: Options{Set: map[string][]string{"version": {"1.3.1"}}},
			want:    []string{"1.3.1 on 1.3.1"}},
		{name: "versions take the place of the file's", scenario: "shorthands",
			options: Options{Repeats: &repeats, Versions: []string{"1.0.0"}},
			want:    []string{"1.0.0 absent builder-sa on 1.0.0", "1.0.0 true default on 1.0.0", "1.0.0 true builder-sa on 1.0.0"}},
		{name: "versions of named values as well", scenario: "yaml",
			options: Options{Versions: []string{"1.0.0"}},
			wantErr: "no cell is left"},
		{name: "an unknown value", scenario: "shorthands",
			options: Options{Set: map[string][]string{"serviceAccount": {"builder"}}},
			wantErr: `axis "serviceAccount" has no value "builder"; did you mean "builder-sa"?`},
		{name: "a value of the wrong axis is named", scenario: "overrides",
			options: Options{Set: map[string][]string{"change": {"pod"}}},
			wantErr: `axis "change" has no value "pod"; did you mean "pods"?`},
		{name: "an unknown axis", scenario: "overrides",
			options: Options{Set: map[string][]string{"chnage": {"pods"}}},
			wantErr: `unknown axis "chnage"; did you mean "change"?`},
		{name: "an axis that only a shorthand is near", scenario: "plain",
			options: Options{Set: map[string][]string{"acessMode": {"RWX"}}},
			wantErr: `unknown axis "acessMode"; did you mean "accessMode"?`},
		{name: "a bad value for an added axis", scenario: "plain",
			options: Options{Set: map[string][]string{"accessMode": {"RWZ"}}},
			wantErr: `unknown access mode "RWZ"`},
		{name: "a version that is none", scenario: "plain",
			options: Options{Versions: []string{"newest"}}, wantErr: `"newest" names no release`},
		{name: "versions as everywhere", scenario: "plain",
			options: Options{Versions: []string{"1.3", "v0.68.1", "osp-1.18"}},
			want:    []string{"1.3.1 on 1.3.1", "0.68.1 on 0.68.1"}},
		{name: "an axis that is set to a release as everywhere", scenario: "words",
			options: Options{Set: map[string][]string{"tekton": {"osp-1.20"}}},
			want:    []string{"1.3.1 on 1.3.1"}},
		{name: "one error for all versions", scenario: "plain",
			options: Options{Versions: []string{"newest", "1.3"}, Set: map[string][]string{"version": {"latest"}}},
			wantErr: `"newest" names no release, "latest" names no release: not a Tekton version; there are 0.44.0 (osp-1.10)`},
		{name: "versions twice", scenario: "plain",
			options: Options{Versions: []string{"1.3.1"}, Set: map[string][]string{"tekton": {"1.0.0"}}},
			wantErr: "asked for twice"},
		{name: "no repeat", scenario: "plain", options: Options{Repeats: &none}, wantErr: "repeats is 0"},
		{name: "an axis with no value", scenario: "plain",
			options: Options{Set: map[string][]string{"coschedule": nil}}, wantErr: `axis "coschedule" is asked for with no value`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cells, err := Expand([]*File{load(t, test.scenario)}, test.options)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("have error %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, c := range cells {
				have = append(have, short(c))
				if c.Values[TektonAxis] != c.Spec.Tekton.Version {
					t.Errorf("%s: value %s=%s", short(c), TektonAxis, c.Values[TektonAxis])
				}
			}
			if !slices.Equal(have, test.want) {
				t.Errorf("have %q, want %q", have, test.want)
			}
		})
	}

	cells, err := load(t, "plain").Cells(Options{Seed: &seed})
	if err != nil || len(cells) != 1 || cells[0].Spec.Seed != seed {
		t.Errorf("have %d cells, error %v; want one with seed %d", len(cells), err, seed)
	}
}

// TestForcedVersionOfMixedAxis has an axis with other changes among its values:
// those that only choose a release go, the others run on the versions asked for.
func TestForcedVersionOfMixedAxis(t *testing.T) {
	f, err := Load("../../scenarios/incident.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cells, err := f.Cells(Options{Versions: []string{"1.9.0"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		if c.Spec.Tekton.Version != "1.9.0" || strings.HasPrefix(c.Values["change"], "tekton") {
			t.Errorf("cell %s", short(c))
		}
	}
	if len(cells) != 4 || !slices.Equal(cells[0].Axes, []string{TektonAxis, "change"}) {
		t.Errorf("%d cells over %q", len(cells), cells[0].Axes)
	}
}

// TestSetOverSeveralFiles: an axis of one file leaves the others alone, one of
// none is an error.
func TestSetOverSeveralFiles(t *testing.T) {
	files := []*File{load(t, "plain"), load(t, "overrides")}
	cells, err := Expand(files, Options{Set: map[string][]string{"change": {"pods"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(cells) != 2 || len(cells[0].Axes) != 0 || cells[1].Values["change"] != "pods" {
		t.Errorf("have %d cells", len(cells))
	}
	if _, err := Expand(files, Options{Set: map[string][]string{"chang": {"pods"}}}); err == nil {
		t.Error("an axis of no file is taken")
	}
}

// TestMerge has the examples of RFC 7386, appendix A.
func TestMerge(t *testing.T) {
	tests := []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		// Not in the appendix: a null within a list is a value.
		{`{}`, `{"a":[{"b":null}]}`, `{"a":[{"b":null}]}`},
	}
	for _, test := range tests {
		var target, patch any
		if err := json.Unmarshal([]byte(test.target), &target); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(test.patch), &patch); err != nil {
			t.Fatal(err)
		}
		have, err := json.Marshal(merge(target, patch))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != test.want {
			t.Errorf("%s merged into %s: have %s, want %s", test.patch, test.target, have, test.want)
		}
	}
}

func TestIDAndFingerprint(t *testing.T) {
	f := load(t, "shorthands")
	one, err := f.Cells(Options{})
	if err != nil {
		t.Fatal(err)
	}
	more := 5
	two, err := load(t, "shorthands").Cells(Options{Repeats: &more})
	if err != nil {
		t.Fatal(err)
	}
	ids, prints := map[string]string{}, map[string]string{}
	for _, c := range two {
		id, sum := c.ID(), c.Fingerprint()
		if other, ok := prints[sum]; ok {
			t.Errorf("%s and %s have one fingerprint", id, other)
		}
		if _, ok := ids[id]; ok {
			t.Errorf("%s twice", id)
		}
		ids[id], prints[sum] = sum, id
		if strings.ContainsAny(id, `/\: `) {
			t.Errorf("%q is no file name", id)
		}
	}
	// A run with fewer repeats has the same cells.
	for _, c := range one {
		if ids[c.ID()] != c.Fingerprint() {
			t.Errorf("%s: another fingerprint with more repeats", c.ID())
		}
	}

	c := one[0]
	c.Spec.Description = "anything"
	if c.Fingerprint() != one[0].Fingerprint() {
		t.Error("the description counts")
	}
	c.Spec.Seed++
	if c.Fingerprint() == one[0].Fingerprint() {
		t.Error("the seed does not count")
	}
	c = one[0]
	c.Objects = c.Objects[1:]
	if c.Fingerprint() == one[0].Fingerprint() {
		t.Error("the objects do not count")
	}

	long := Cell{Scenario: "s", Axes: []string{"a"}, Values: map[string]string{"a": strings.Repeat("ü/", 200)}}
	if id := long.ID(); len(id) > 120 {
		t.Errorf("%q is too long", id)
	}
	a := Cell{Scenario: "s", Axes: []string{"a"}, Values: map[string]string{"a": "x/y"}}
	b := Cell{Scenario: "s", Axes: []string{"a"}, Values: map[string]string{"a": "x-y"}}
	if a.ID() == b.ID() {
		t.Errorf("two cells have the id %s", a.ID())
	}
}
