//go:build ignore

package main

import (
	"encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// message comes in: the SCCs from now on, a request, or the answer to a question
// that was asked for a request. Its twin is in engine.go of package openshift.
type message struct {
	ID      uint64            `json:"id,omitempty"`
	SCCs    []json.RawMessage `json:"sccs,omitempty"`
	Answer  *answer           `json:"answer,omitempty"`
	Request *request          `json:"request,omitempty"`
}

// request asks for a decision on a pod in a namespace: may it be admitted with
// its fields defaulted, or, with Validate, as it is? Usable has answers to the
// questions that will come: by user all the SCCs that this user may use there.
// About users not in it there are questions.
type request struct {
	Review    *admissionv1.AdmissionRequest `json:"review"`
	Namespace *corev1.Namespace             `json:"namespace"`
	Validate  bool                          `json:"validate,omitempty"`
	Usable    map[string][]string           `json:"usable,omitempty"`
}

// answer says whether the user asked about may use the SCC.
type answer struct {
	Allowed bool   `json:"allowed,omitempty"`
	Error   string `json:"error,omitempty"`
}

// reply goes out: a question, or the decision, which is the last reply with its
// ID.
type reply struct {
	ID       uint64    `json:"id"`
	Question *question `json:"question,omitempty"`
	Decision *decision `json:"decision,omitempty"`
}

// question asks whether a user may use an SCC in a namespace.
type question struct {
	User      authenticationv1.UserInfo `json:"user"`
	Namespace string                    `json:"namespace"`
	SCC       string                    `json:"scc"`
}

// decision admits the pod with Patch applied, or refuses it with Status.
type decision struct {
	Status *metav1.Status    `json:"status,omitempty"`
	Patch  []operation       `json:"patch,omitempty"`
	Notes  map[string]string `json:"notes,omitempty"`
}

// operation is one of RFC 6902.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}
