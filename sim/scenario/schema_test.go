package scenario

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	sigsyaml "sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files and the schema anew")

// makeSchema makes the schema from the types and their comments, and adds what
// the types cannot say: plain forms, choices, and what a patch may hold.
func makeSchema(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{Mapper: func(t reflect.Type) *jsonschema.Schema {
		if t == reflect.TypeFor[Quantity]() {
			return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}}}
		}
		return nil
	}}
	if err := r.AddGoComments("simctl.dev/simctl/sim/scenario", ".", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	s := r.Reflect(&Scenario{})
	s.ID = "https://simctl.dev/scenario.schema.json"
	s.Title = "simctl scenario"

	field := func(def, name string) *jsonschema.Schema {
		d := s.Definitions[def]
		if d == nil || d.Properties == nil {
			t.Fatalf("the schema has no definition of %s", def)
		}
		p, ok := d.Properties.Get(name)
		if !ok {
			t.Fatalf("%s has no field %s", def, name)
		}
		return p
	}
	choice := func(def, name string, values ...[]string) {
		for _, v := range slices.Concat(values...) {
			p := field(def, name)
			p.Enum = append(p.Enum, v)
		}
	}
	var modes []string
	for _, m := range accessModes {
		modes = append(modes, m.short, m.long)
	}
	choice("Scenario", "apiVersion", []string{APIVersion})
	choice("Scenario", "kind", []string{Kind})
	choice("Taint", "effect", taintEffects)
	choice("Toleration", "effect", taintEffects)
	choice("Toleration", "operator", operators)
	choice("StorageClass", "volumeBindingMode", bindingModes)
	choice("StorageClass", "fsGroupPolicy", fsGroupPolicy)
	choice("Tekton", "via", vias)
	choice("Tekton", "overlap", overlaps)
	choice("Intervention", "controller", controllerActions)
	choice("Moment", "phase", Phases)
	choice("NodeTaint", "effect", taintEffects)
	choice("Overrides", "accessMode", modes)
	choice("Value", "accessMode", modes)
	choice("Overrides", "claim", claims)
	choice("Value", "claim", claims)
	field("Scenario", "repeats").Minimum = "0"
	field("Overrides", "retries").Minimum = "0"
	field("PodOf", "attempt").Minimum = "0"
	field("NodePool", "count").Minimum = "0"

	scalar := func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
	}
	// also lets a definition be given in a plain form.
	also := func(def string, plain *jsonschema.Schema) {
		d := s.Definitions[def]
		if d == nil {
			t.Fatalf("the schema has no definition of %s", def)
		}
		full := *d
		full.Description = ""
		s.Definitions[def] = &jsonschema.Schema{
			Description: d.Description, AnyOf: []*jsonschema.Schema{plain, &full},
		}
	}
	for _, f := range []*jsonschema.Schema{field("Tekton", "flags"), field("Tekton", "defaults"), field("Value", "flags"), field("Intervention", "setFlags")} {
		f.AdditionalProperties = scalar()
	}
	patch := field("Value", "patch")
	patch.Type = "object"
	patch.Properties = jsonschema.NewProperties()
	for _, name := range varied {
		typ := "object"
		if name == "interventions" {
			typ = "array"
		}
		patch.Properties.Set(name, &jsonschema.Schema{Type: typ})
	}
	patch.AdditionalProperties = jsonschema.FalseSchema
	field("ManifestPatch", "patch").Type = "object"

	// The outcomes are names; a list of them is what StringList is elsewhere.
	outcome := field("Expectation", "outcome")
	var names []any
	for _, o := range outcomes() {
		names = append(names, o)
	}
	one := &jsonschema.Schema{Type: "string", Enum: names}
	*outcome = jsonschema.Schema{Description: outcome.Description,
		AnyOf: []*jsonschema.Schema{one, {Type: "array", Items: one}}}

	s.Definitions["StringList"].Items = scalar()
	also("StringList", scalar())
	also("Distribution", &jsonschema.Schema{Type: "string"})
	also("Value", scalar())
	also("NodeRef", &jsonschema.Schema{Type: "string"})
	also("NodeDrain", &jsonschema.Schema{Type: "string"})
	also("ClaimOf", &jsonschema.Schema{Type: "string"})
	also("PodOf", &jsonschema.Schema{Type: "string"})
	also("NodeSilence", &jsonschema.Schema{Type: "string"})
	also("NodeShutdown", &jsonschema.Schema{Type: "string"})
	field("ObjectDeletion", "gracePeriodSeconds").Minimum = "0"
	manifests := field("Apply", "manifests")
	manifests.Items = &jsonschema.Schema{Type: "object"}
	objectPatch := field("ObjectPatch", "patch")
	*objectPatch = jsonschema.Schema{Description: objectPatch.Description,
		AnyOf: []*jsonschema.Schema{{Type: "object"}, {Type: "array", Items: &jsonschema.Schema{Type: "object"}}}}

	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestSchema holds the shipped schema against the types.
func TestSchema(t *testing.T) {
	want := makeSchema(t)
	for _, name := range []string{"scenario.schema.json", "../../docs/scenario.schema.json"} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what the types say; run `go generate ./sim/scenario`", name)
		}
	}
}

// TestSchemaAccepts holds the schema against scenarios that load.
func TestSchemaAccepts(t *testing.T) {
	compiled := compileSchema(t)
	for _, pattern := range []string{"testdata/good/*/scenario.yaml", "../../scenarios/*.yaml", "../../scenarios/incidents/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files (%v)", pattern, err)
		}
		for _, file := range files {
			if err := compiled.Validate(readYAML(t, file)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// TestSchemaRefuses holds the schema against slips that an editor should mark.
func TestSchemaRefuses(t *testing.T) {
	compiled := compileSchema(t)
	for _, file := range []string{"unknown-field", "unknown-value", "wrong-type", "patch-what"} {
		if err := compiled.Validate(readYAML(t, "testdata/bad/"+file+".yaml")); err == nil {
			t.Errorf("%s.yaml: accepted", file)
		}
	}
}

func compileSchema(t *testing.T) *validator.Schema {
	t.Helper()
	doc, err := validator.UnmarshalJSON(bytes.NewReader(makeSchema(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("scenario.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func readYAML(t *testing.T, file string) any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := sigsyaml.YAMLToJSON(content)
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSchemaDescribes keeps every type and the fields that need it documented
// in the schema.
func TestSchemaDescribes(t *testing.T) {
	var s struct {
		Defs map[string]struct{ Description string } `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Defs) < 20 {
		t.Errorf("the schema has only %d definitions", len(s.Defs))
	}
	for _, name := range sortedKeys(s.Defs) {
		if s.Defs[name].Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
	if s.Defs[reflect.TypeFor[StorageClass]().Name()].Description == "" {
		t.Error("the schema does not describe a storage class")
	}
}
