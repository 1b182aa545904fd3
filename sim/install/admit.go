package install

import (
	"fmt"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/tekton/conversion"
)

// Admission is what becomes of an object on its way to the API server.
type Admission struct {
	// Object is the object as Tekton's webhook would leave it, nil if it is refused.
	Object *unstructured.Unstructured
	// Refused is in which words it is refused, Sent what was sent then, as JSON.
	Refused string
	Sent    []byte
	// Dropped are the API server's warnings of fields that the object's kind does not
	// have.
	Dropped []string
}

// Admit says what would become of an object of a user's. Controllers would never see one
// that cannot be read, nor, having got a list with it, any other. While no controller
// runs that could be asked nothing but that is looked at.
func (in *Install) Admit(u *unstructured.Unstructured) (a Admission, err error) {
	if u.GroupVersionKind().Group != pipeline.GroupName {
		return Admission{Object: u}, nil
	}
	u = u.DeepCopy()
	a.Dropped = in.release.schemas.prune(u)
	if a.Sent, err = u.MarshalJSON(); err != nil {
		return a, fmt.Errorf("writing %s %s as JSON: %w", u.GetKind(), u.GetName(), err)
	}
	given, asked := a.Sent, false
	if in.release.controller != nil {
		given, a.Refused, err = in.release.controller.Admit(a.Sent)
		asked = err == nil
	}
	if !asked {
		given = a.Sent
		if err := conversion.Decode(a.Sent); err != nil {
			a.Refused = "Tekton's webhook, which does not run here, would not take it: " + err.Error()
		}
	}
	if a.Refused != "" {
		return a, nil
	}
	a.Object = &unstructured.Unstructured{}
	if err := a.Object.UnmarshalJSON(given); err != nil {
		return a, fmt.Errorf("reading %s %s as Tekton's webhook leaves it: %w", u.GetKind(), u.GetName(), err)
	}
	unstructured.RemoveNestedField(a.Object.Object, "status")
	unstructured.RemoveNestedField(a.Object.Object, "metadata", "creationTimestamp")
	return a, nil
}
