package kustomize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"

	"simctl.dev/simctl/sim/internal/tree"
)

// kustomize refuses objects that have generateName alone, as runs often have. While it
// works they have a name, which this annotation holds.
const lent = "internal.simctl.dev/lent-name"

// names are the names that were lent to objects of a kind, with how many have it.
type names map[string]int

// lend names the objects of a file that have no name.
func (n names) lend(content []byte) []byte {
	if !bytes.Contains(content, []byte("generateName")) {
		return content
	}
	var out bytes.Buffer
	encoder, decoder := yamlv3.NewEncoder(&out), yamlv3.NewDecoder(bytes.NewReader(content))
	changed := false
	for {
		var doc yamlv3.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(doc.Content) == 0 {
			return content // kustomize says why
		}
		changed = n.object(doc.Content[0]) || changed
		if err := encoder.Encode(&doc); err != nil {
			return content
		}
	}
	if err := encoder.Close(); err != nil || !changed {
		return content
	}
	return out.Bytes()
}

// object names an object, or those of a list, and says whether it did.
func (n names) object(o *yamlv3.Node) bool {
	changed := false
	if items := field(o, "items"); items != nil {
		for _, item := range items.Content {
			changed = n.object(item) || changed
		}
		return changed
	}
	kind, meta := field(o, "kind"), field(o, "metadata")
	generate := field(meta, "generateName")
	if kind == nil || generate == nil || generate.Value == "" || field(meta, "name") != nil {
		return false
	}
	id := kind.Value + "/" + generate.Value
	n[id]++
	apart := ""
	if n[id] > 1 {
		apart = fmt.Sprintf("x%d", n[id])
	}
	name := generate.Value + apart
	text := func(s string) *yamlv3.Node { return &yamlv3.Node{Kind: yamlv3.ScalarNode, Tag: "!!str", Value: s} }
	meta.Content = append(meta.Content, text("name"), text(name))
	annotations := field(meta, "annotations")
	if annotations == nil {
		annotations = &yamlv3.Node{Kind: yamlv3.MappingNode}
		meta.Content = append(meta.Content, text("annotations"), annotations)
	}
	annotations.Content = append(annotations.Content, text(lent), text(name))
	return true
}

// field is a field of a mapping; nil if there is none.
func field(n *yamlv3.Node, key string) *yamlv3.Node {
	if n == nil || n.Kind != yamlv3.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// giveBack makes a lent name, and what a kustomization put before and behind it, what the
// object's name is generated from.
func giveBack(object []byte) ([]byte, error) {
	if !bytes.Contains(object, []byte(lent)) {
		return object, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	var o map[string]any
	if err := decoder.Decode(&o); err != nil {
		return nil, err
	}
	meta, annotations := tree.Map(o, "metadata"), tree.Map(o, "metadata", "annotations")
	name, ok := annotations[lent].(string)
	if !ok {
		return object, nil
	}
	if delete(annotations, lent); len(annotations) == 0 {
		delete(meta, "annotations")
	}
	meta["generateName"] = strings.Replace(tree.Text(meta, "name"), name, tree.Text(meta, "generateName"), 1)
	delete(meta, "name")
	return json.Marshal(o)
}
