package scenario

import (
	"encoding/json"
	"fmt"
	"strings"
)

func applyAction() action {
	return action{
		field: "apply",
		given: func(v *Intervention) bool { return v.Apply != nil },
		what: func(v *Intervention) string {
			var names []string
			for _, raw := range v.Apply.Manifests {
				if data, err := decodeObject(raw); err == nil {
					names = append(names, (&object{data: data}).String())
				}
			}
			return "apply " + strings.Join(append(names, v.Apply.Files...), ", ")
		},
		check: func(c *checker, at string, v *Intervention) {
			if len(v.Apply.Manifests)+len(v.Apply.Files) == 0 {
				c.add(at, "%s is empty; give it manifests or files", at)
			}
			for i, raw := range v.Apply.Manifests {
				c.manifest(fmt.Sprintf("%s.manifests[%d]", at, i), raw)
			}
		},
		fits: func(f fitting, at string, v *Intervention) {
			if len(v.Apply.Files) > 0 {
				f.world.issues = append(f.world.issues, f.file.read(at+".files", v.Apply.Files).issues...)
			}
		},
		finish: (*File).finishApply,
		faults: applyFaults(),
	}
}

func applyFaults() []Fault {
	return []Fault{
		{
			Name: "foreign-webhook-away", Does: "Somebody else's webhook that is asked about every new pod, such as a policy engine's, is away, and is taken out after a while.",
			Real: "the API server, which refuses what it could not ask about (failurePolicy Fail), what Tekton and the StatefulSet controller do about a pod that is refused", Simulated: "the network to the webhook's Service, at which nobody is",
			Remedies: []string{"retries that outlast it", "failurePolicy Ignore, or a namespaceSelector that leaves the pipelines' namespaces out"},
			Rule:     "fault/foreign-webhook",
			Example: `
- when: {task: download-model, phase: done}
  apply:
    manifests:
      - apiVersion: v1
        kind: Service
        metadata: {name: policy, namespace: private-ai-demo}
        spec: {ports: [{port: 443}]}
      - apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingWebhookConfiguration
        metadata: {name: policy}
        webhooks:
          - name: validate.policy.example.com
            failurePolicy: Fail
            sideEffects: None
            admissionReviewVersions: [v1]
            clientConfig: {service: {name: policy, namespace: private-ai-demo}}
            rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
- when: {task: download-model, phase: done}
  after: 10m
  delete: {apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, name: policy}
`,
		},
		{
			Name: "quota-full", Does: "A ResourceQuota leaves no room for a pod more, and goes after a while.",
			Real: "the API server's quota admission, the resource-quota controller, what Tekton does about a pod that is refused", Simulated: "nothing",
			Remedies: []string{"none but time: Tekton tries again until the pod is let in or a time-out ends the run"},
			Example: `
- when: {task: download-model, phase: running}
  apply:
    manifests:
      - apiVersion: v1
        kind: ResourceQuota
        metadata: {name: full, namespace: private-ai-demo}
        spec: {hard: {pods: "1"}}
- when: {task: download-model, phase: done}
  after: 10m
  delete: {kind: ResourceQuota, namespace: private-ai-demo, name: full}
`,
		},
		{
			Name: "limit-range", Does: "A LimitRange allows less memory than it gives to containers that ask for none, and goes after a while.",
			Real: "the API server's LimitRanger, what Tekton does about a pod that is refused or changed", Simulated: "nothing",
			Example: `
- when: {task: download-model, phase: running}
  apply:
    manifests:
      - apiVersion: v1
        kind: LimitRange
        metadata: {name: tight, namespace: private-ai-demo}
        spec:
          limits:
            - {type: Pod, max: {memory: 1Mi}}
            - {type: Container, default: {memory: 64Mi}, defaultRequest: {memory: 64Mi}}
- when: {task: download-model, phase: done}
  after: 10m
  delete: {kind: LimitRange, namespace: private-ai-demo, name: tight}
`,
		},
	}
}

// finishApply puts the content of its files into what is applied, and the namespace.
func (f *File) finishApply(s *Scenario, i int) {
	v := &s.Interventions[i]
	var objects []*object
	for _, raw := range v.Apply.Manifests {
		if data, err := decodeObject(raw); err == nil { // else reported
			objects = append(objects, &object{data: data})
		}
	}
	for _, o := range f.read(fmt.Sprintf("interventions[%d].apply.files", i), v.Apply.Files).objects {
		objects = append(objects, o.copy())
	}
	out := &Apply{}
	for _, o := range objects {
		if o.namespaced() && o.namespace() == "" {
			set(o.data, s.Workload.Namespace, "metadata", "namespace")
		}
		raw, err := json.Marshal(o.data)
		if err != nil {
			panic(fmt.Sprintf("a manifest that was read is written: %v", err))
		}
		out.Manifests = append(out.Manifests, raw)
	}
	v.Apply = out
}

func patchAction() action {
	return action{
		field: "patch",
		given: func(v *Intervention) bool { return v.Patch != nil },
		what:  func(v *Intervention) string { return fmt.Sprintf("patch %s with %s", v.Patch.Ref(), v.Patch.Patch) },
		check: func(c *checker, at string, v *Intervention) {
			c.ref(at, v.Patch.Ref())
			c.objectPatch(at+".patch", v.Patch.Patch)
		},
		fits: func(f fitting, at string, v *Intervention) { f.object(at, v.Patch.Ref()) },
	}
}

func deleteAction() action {
	return action{
		field: "delete",
		given: func(v *Intervention) bool { return v.Delete != nil },
		what: func(v *Intervention) string {
			what := "delete " + v.Delete.Ref().String()
			if s := v.Delete.GracePeriodSeconds; s != nil {
				what += fmt.Sprintf(" with a grace period of %d s", *s)
			}
			return what
		},
		check: func(c *checker, at string, v *Intervention) {
			c.ref(at, v.Delete.Ref())
			if s := v.Delete.GracePeriodSeconds; s != nil && *s < 0 {
				c.add(at+".gracePeriodSeconds", "%s.gracePeriodSeconds is %d; it cannot be negative", at, *s)
			}
		},
		fits:   func(f fitting, at string, v *Intervention) { f.object(at, v.Delete.Ref()) },
		faults: deleteFaults(),
	}
}

func deleteFaults() []Fault {
	return []Fault{
		{
			Name: "pod-deleted", Does: "The pod of a task is deleted while it runs.",
			Real: "what Tekton does about a pod that has ended or is gone", Simulated: "the kubelet that ends it within its grace period",
			Remedies: []string{retriesRemedy}, Rule: "pod/deleted",
			Example: `
- when: {task: build-image, phase: running}
  after: 1m
  delete: {podOf: build-image}
`,
		},
		{
			Name: "pod-deleted-by-force", Does: "The pod of a task is taken out of the API server at once, and its node is not waited for.",
			Real: "what Tekton does about a pod that is gone", Simulated: "the kubelet, which ends the containers when it hears of it",
			Example: `
- when: {task: build-image, phase: running}
  after: 1m
  delete: {podOf: build-image, gracePeriodSeconds: 0}
`,
		},
		{
			Name: "service-account-deleted", Does: "The ServiceAccount that the run's pods have is taken away, and is back after a while.",
			Real: "the API server's admission, what Tekton does about a pod that is refused", Simulated: "nothing",
			Example: `
- when: {task: download-model, phase: running}
  delete: {kind: ServiceAccount, namespace: private-ai-demo, name: model-pipeline-sa}
- when: {task: download-model, phase: done}
  after: 10m
  apply: {manifests: [{apiVersion: v1, kind: ServiceAccount, metadata: {name: model-pipeline-sa, namespace: private-ai-demo}}]}
`,
		},
		{
			Name: "secret-deleted", Does: "A Secret that a pod mounts is not there when its kubelet looks, and comes after a while.",
			Real: "what Tekton does about a pod that does not start", Simulated: "the kubelet, with upstream's words and waits",
			Remedies: []string{"none but time: the kubelet tries again until the Secret is there or a time-out ends the run"}, Rule: "object/deleted",
			Example: `
- when: {task: build-image, phase: running}
  delete: {kind: Secret, namespace: private-ai-demo, name: quay-auth}
- when: {task: build-image, phase: done}
  after: 10m
  apply:
    manifests:
      - apiVersion: v1
        kind: Secret
        metadata: {name: quay-auth, namespace: private-ai-demo}
        type: kubernetes.io/dockerconfigjson
        stringData: {.dockerconfigjson: '{"auths": {}}'}
`,
		},
	}
}
