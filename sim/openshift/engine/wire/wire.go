// Package wire is what OpenShift's SCC admission, a process of its own, and the
// process that started it say to each other: a JSON value a line, a [Message] in, a
// [Reply] out.
//
// Both ends are compiled from this source, each with the Kubernetes that it has.
package wire

import (
	"encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Message comes in: the SCCs from now on, a request, or the answer to a question
// that was asked for a request.
type Message struct {
	ID      uint64            `json:"id,omitempty"`
	SCCs    []json.RawMessage `json:"sccs,omitempty"`
	Answer  *Answer           `json:"answer,omitempty"`
	Request *Request          `json:"request,omitempty"`
}

// Request asks for a decision on a pod in a namespace: may it be admitted with
// its fields defaulted, or, with Validate, as it is? Usable has answers to the
// questions that will come: by user all the SCCs that this user may use there.
// About users not in it there are questions.
type Request struct {
	Review    *admissionv1.AdmissionRequest `json:"review"`
	Namespace *corev1.Namespace             `json:"namespace"`
	Validate  bool                          `json:"validate,omitempty"`
	Usable    map[string][]string           `json:"usable,omitempty"`
}

// Answer says whether the user asked about may use the SCC.
type Answer struct {
	Allowed bool   `json:"allowed,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Reply goes out: a question, or the decision, which is the last reply with its
// ID.
type Reply struct {
	ID       uint64    `json:"id"`
	Question *Question `json:"question,omitempty"`
	Decision *Decision `json:"decision,omitempty"`
}

// Question asks whether a user may use an SCC in a namespace.
type Question struct {
	User      authenticationv1.UserInfo `json:"user"`
	Namespace string                    `json:"namespace"`
	SCC       string                    `json:"scc"`
}

// Decision admits the pod with Patch (RFC 6902) applied, or refuses it with Status.
type Decision struct {
	Status *metav1.Status    `json:"status,omitempty"`
	Patch  json.RawMessage   `json:"patch,omitempty"`
	Notes  map[string]string `json:"notes,omitempty"`
}
