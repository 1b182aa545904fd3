package verdict

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// The words by which refusals of admission are known. Tekton goes by the same
// ones (isPodAdmissionFailed and isExceededResourceQuotaError in
// pkg/reconciler/taskrun).
const (
	saysSCC         = "security context constraint"
	saysPodSecurity = "violates PodSecurity"
	saysQuota       = "exceeded quota"
)

// refusalCause says in links why the API server refused an object: what decided,
// and by which fields. The pod is the object that was refused, or the template
// it was made from; nil when the history does not show it.
func refusalCause(s *timeline.View, namespace, message string, pod *corev1.Pod) []Link {
	switch {
	case strings.Contains(message, saysSCC):
		return []Link{sccCause(s, namespace, message, pod)}
	case strings.Contains(message, saysPodSecurity):
		return []Link{podSecurityCause(s, namespace, message)}
	case strings.Contains(message, saysQuota):
		return append([]Link{quotaCause(s, namespace, message)}, claimsLeft(s, namespace, message)...)
	}
	if m := policyWords.FindStringSubmatch(message); m != nil {
		return []Link{policyCause(s, m[1], m[2], m[0])}
	}
	if name, asked, ok := foreignWebhook(message); ok {
		return []Link{foreignWebhookCause(s, name, message, asked)}
	}
	if m := missingAccount.FindStringSubmatch(message); m != nil {
		return []Link{accountMissing.link("ServiceAccount "+m[1]+"/"+m[2], m[0], m[2], m[1])}
	}
	if m := incompleteForQuota.FindStringSubmatch(message); m != nil {
		l := quotaIncomplete.link("ResourceQuota "+namespace+"/"+m[1], m[0], m[1])
		if q := s.Live("ResourceQuota", namespace, m[1]); q != nil {
			l.Evidence = "spec.hard: " + q.JSON("spec", "hard")
		}
		return []Link{l}
	}
	if l, ok := limitRangeCause(s, namespace, message); ok {
		return []Link{l}
	}
	return nil
}

// policyWords are those in which a ValidatingAdmissionPolicy refuses
// (pkg/admission/plugin/policy/validating of k8s.io/apiserver). The code is the
// policy's to choose: 422 unless it says otherwise.
var policyWords = regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)'(?: with binding '([^']+)')? denied request: .*`)

// denied says whether admission refused an object, rather than that the object is not
// as its kind has it.
func denied(e history.Entry) bool {
	_, _, foreign := foreignWebhook(e.Message)
	return e.Code == history.CodeForbidden || policyWords.MatchString(e.Message) || foreign
}

// webhookWords are those in which the API server says that a webhook refused something, or
// could not be asked (pkg/admission/plugin/webhook of k8s.io/apiserver).
var webhookWords = regexp.MustCompile(`(admission webhook|` + history.WebhookFailed + `) "([^"]+)"`)

// foreignWebhook returns the webhook, one that is not Tekton's, for whose sake something was
// refused, and whether it was asked.
func foreignWebhook(message string) (name string, asked, ok bool) {
	m := webhookWords.FindStringSubmatch(message)
	if m == nil || strings.HasSuffix(m[2], ".tekton.dev") {
		return "", false, false
	}
	return m[2], m[1] != history.WebhookFailed, true
}

func foreignWebhookCause(s *timeline.View, name, message string, asked bool) Link {
	object, evidence := "ValidatingWebhookConfiguration", clip(message)
	for _, kind := range []string{"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"} {
		for _, o := range s.List(kind) {
			if hooks := o.JSON("webhooks"); strings.Contains(hooks, strconv.Quote(name)) {
				object, evidence = kind+" "+o.Ref.Name, "webhooks: "+clip(hooks)
			}
		}
	}
	if asked {
		return foreignWebhookDenies.link(object, evidence, name)
	}
	return foreignWebhookAway.link(object, evidence, name)
}

func policyCause(s *timeline.View, policy, binding, words string) Link {
	l := policyDenies.link("ValidatingAdmissionPolicy "+policy, words, policy)
	if binding != "" {
		l = policyBound.link("ValidatingAdmissionPolicy "+policy, words, policy, binding)
	}
	if p := s.Live("ValidatingAdmissionPolicy", "", policy); p != nil {
		l.Evidence = "spec.validations: " + p.JSON("spec", "validations")
	}
	return l
}

// incompleteForQuota is the complaint about containers without a request or limit
// that a quota counts (pkg/quota/v1/evaluator/core and the ResourceQuota admission
// of Kubernetes).
var incompleteForQuota = regexp.MustCompile(`failed quota: ([^: ]+): must specify .*`)

// missingAccount is the ServiceAccount admission's complaint
// (plugin/pkg/admission/serviceaccount of Kubernetes).
var missingAccount = regexp.MustCompile(`error looking up service account ([^/ ]+)/([^: ]+): serviceaccount "[^"]+" not found`)

// serviceAccount is the account a pod runs under.
func serviceAccount(pod *corev1.Pod) string {
	if pod == nil || pod.Spec.ServiceAccountName == "" {
		return "default"
	}
	return pod.Spec.ServiceAccountName
}

// sccRefusal is one complaint of a provider in an SCC refusal: the aggregate of
// field errors that computeSecurityContext in
// openshift/apiserver-library-go/pkg/securitycontextconstraints/sccadmission
// builds.
var (
	sccField     = regexp.MustCompile(`provider ([^":, ]+): (\.[^:]*): (Invalid value|Forbidden|Required value): `)
	sccForbidden = regexp.MustCompile(`provider "([^"]+)": Forbidden: not usable by user or serviceaccount`)
	sccGroup     = regexp.MustCompile(`(-?\d+) is not an allowed group`)
	sccRange     = regexp.MustCompile(`Invalid value: (-?\d+): must be in the ranges: \[(\d+), (\d+)\]`)
)

func sccCause(s *timeline.View, namespace, message string, pod *corev1.Pod) Link {
	account := serviceAccount(pod)
	evidence := []string{"serviceAccountName: " + account}
	var spec []string
	if pod != nil && pod.Spec.SecurityContext != nil {
		if raw, err := json.Marshal(pod.Spec.SecurityContext); err == nil && string(raw) != "{}" {
			spec = append(spec, "securityContext: "+string(raw))
		}
	}
	ranges := map[string]string{}
	if ns := s.Live("Namespace", "", namespace); ns != nil {
		for _, key := range []string{"openshift.io/sa.scc.supplemental-groups", "openshift.io/sa.scc.uid-range"} {
			if v := ns.Text("metadata", "annotations", key); v != "" {
				ranges[key] = v
				spec = append(spec, key+": "+v)
			}
		}
	}
	groups := ranges["openshift.io/sa.scc.supplemental-groups"]
	if groups == "" {
		groups = ranges["openshift.io/sa.scc.uid-range"]
	}

	var reasons, usable []string
	matches := sccField.FindAllStringSubmatchIndex(message, -1)
	for i, m := range matches {
		end := len(message)
		if i+1 < len(matches) {
			end = matches[i+1][0]
		}
		if at := sccForbidden.FindStringIndex(message[m[0]:end]); at != nil {
			end = m[0] + at[0]
		}
		provider, field, text := message[m[2]:m[3]], message[m[4]:m[5]], strings.Trim(message[m[0]:end], " ,")
		if strings.Count(text, "]") > strings.Count(text, "[") {
			// The bracket that closes the list of complaints.
			text = strings.TrimSuffix(text, "]")
		}
		if !slices.Contains(usable, provider) {
			usable = append(usable, provider)
		}
		reason := sccReason(field, text, groups, ranges["openshift.io/sa.scc.uid-range"])
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	var denied []string
	for _, m := range sccForbidden.FindAllStringSubmatch(message, -1) {
		denied = append(denied, m[1])
	}
	what := fmt.Sprintf("ServiceAccount %s may use no SCC that takes the pod", account)
	if len(reasons) > 0 {
		what = fmt.Sprintf("%s and ServiceAccount %s may use %s only", strings.Join(reasons, ", "), account, strings.Join(usable, ", "))
	}
	if len(usable) > 0 {
		evidence = append(evidence, "usable by ServiceAccount "+account+": "+strings.Join(usable, ", "))
	}
	evidence = append(evidence, spec...)
	if len(denied) > 0 {
		evidence = append(evidence, notUsable(denied, len(usable) > 0)+" usable by ServiceAccount "+account)
	}
	return sccNone.link("ServiceAccount "+namespace+"/"+account, strings.Join(evidence, "\n"), what)
}

// namedUnusable is how many SCCs that cannot be used are named; more are a number.
const namedUnusable = 2

// notUsable begins a sentence on SCCs that cannot be used, besides some that can.
func notUsable(providers []string, besides bool) string {
	switch n := len(providers); {
	case n == 1:
		return providers[0] + " is not"
	case n <= namedUnusable:
		return strings.Join(providers, " and ") + " are not"
	case besides:
		return fmt.Sprintf("%d others are not", n)
	default:
		return fmt.Sprintf("%d are not", n)
	}
}

// sccForbiddenItem is such a complaint, sccListBegins where several stand in a list.
var (
	sccForbiddenItem = regexp.MustCompile(sccForbidden.String() + `(?:, )?`)
	sccListBegins    = saysSCC + ": ["
)

// Brief returns the words of a refusal without the many SCCs that cannot be used, which
// are told by their number behind those that can. Other words stay as they are.
func Brief(words string) string {
	before, list, ok := strings.Cut(words, sccListBegins)
	if !ok {
		return words
	}
	// The list's end; its items have brackets too. Words that were cut have none.
	end, depth := len(list), 1
	for i, c := range list {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		}
		if depth == 0 {
			end = i
			break
		}
	}
	list, after := list[:end], list[end:]
	var denied []string
	for _, m := range sccForbiddenItem.FindAllStringSubmatch(list, -1) {
		denied = append(denied, m[1])
	}
	if len(denied) <= namedUnusable {
		return words
	}
	rest := strings.TrimSuffix(sccForbiddenItem.ReplaceAllString(list, ""), ", ")
	others := notUsable(denied, rest != "") + " usable by user or serviceaccount"
	if rest != "" {
		rest += "; "
	}
	// One more refusal may follow.
	return before + sccListBegins + rest + others + Brief(after)
}

// brief makes the evidence of links so.
func brief(links []Link) {
	for i := range links {
		links[i].Evidence = Brief(links[i].Evidence)
		brief(links[i].Behind)
	}
}

// sccReason says in the terms of the namespace's ranges why a provider did not
// take a field.
func sccReason(field, text, groups, uids string) string {
	short := field[strings.LastIndex(field, ".")+1:]
	if m := sccGroup.FindStringSubmatch(text); m != nil {
		group, err := strconv.ParseInt(m[1], 10, 64)
		first, size, ok := parseRange(groups)
		switch {
		case err == nil && ok && (group < first || group >= first+size):
			return fmt.Sprintf("%s %d is outside %s", short, group, groups)
		case err == nil && ok && group > first && short == "fsGroup":
			// MustRunAs allows the first of the range alone.
			return fmt.Sprintf("%s %d is not %d, the first of %s and the only one allowed,", short, group, first, groups)
		default:
			// The provider has a range of its own.
			return fmt.Sprintf("%s %s is not allowed", short, m[1])
		}
	}
	if m := sccRange.FindStringSubmatch(text); m != nil {
		if uids == "" {
			uids = m[2] + "-" + m[3]
		}
		return fmt.Sprintf("%s %s is outside %s", short, m[1], uids)
	}
	if _, detail, ok := strings.Cut(text, field+": "); ok {
		return strings.TrimPrefix(field, ".") + ": " + detail
	}
	return text
}

// parseRange reads a namespace's range, "1000970000/10000" or "1-100"; of
// several it takes the first, as OpenShift does.
func parseRange(s string) (first, size int64, ok bool) {
	s, _, _ = strings.Cut(s, ",")
	if a, b, found := strings.Cut(s, "/"); found {
		first, err1 := strconv.ParseInt(a, 10, 64)
		size, err2 := strconv.ParseInt(b, 10, 64)
		return first, size, err1 == nil && err2 == nil
	}
	a, b, _ := strings.Cut(s, "-")
	first, err1 := strconv.ParseInt(a, 10, 64)
	last, err2 := strconv.ParseInt(b, 10, 64)
	return first, last - first + 1, err1 == nil && err2 == nil
}

func podSecurityCause(s *timeline.View, namespace, message string) Link {
	const label = "pod-security.kubernetes.io/enforce"
	level := ""
	if m := regexp.MustCompile(`violates PodSecurity "([^"]+)"`).FindStringSubmatch(message); m != nil {
		level = m[1]
	}
	evidence := "PodSecurity " + strconv.Quote(level)
	if ns := s.Live("Namespace", "", namespace); ns != nil {
		if v := ns.Text("metadata", "labels", label); v != "" {
			evidence = label + ": " + v
		}
	}
	return podSecurity.link("Namespace "+namespace, evidence, namespace, level)
}

var quotaName = regexp.MustCompile(`exceeded quota: ([^,]+), requested: (.*), used: (.*), limited: (.*)$`)

func quotaCause(s *timeline.View, namespace, message string) Link {
	m := quotaName.FindStringSubmatch(strings.TrimSpace(message))
	if m == nil {
		return quotaFullUnknown.link("Namespace "+namespace, message)
	}
	evidence := "requested: " + m[2] + ", used: " + m[3] + ", limited: " + m[4]
	if q := s.Live("ResourceQuota", namespace, m[1]); q != nil {
		evidence = "spec.hard: " + q.JSON("spec", "hard") + ", requested: " + m[2] + ", used: " + m[3]
	}
	if users := quotaUsers(s, namespace, m[2]); len(users) > 0 {
		evidence += ", by: " + strings.Join(users, ", ")
	}
	return quotaFull.link("ResourceQuota "+namespace+"/"+m[1], evidence, m[1], m[2], m[3], m[4])
}

// claimsLeft names the claims that take up a quota of claims though the run for which
// they were made was deleted: those that nobody owns.
func claimsLeft(s *timeline.View, namespace, message string) []Link {
	if m := quotaName.FindStringSubmatch(strings.TrimSpace(message)); m == nil || !strings.Contains(m[2], "persistentvolumeclaims") && !strings.Contains(m[2], "requests.storage") {
		return nil
	}
	var links []Link
	for _, c := range claims(s) {
		ns, name, _ := strings.Cut(c.PipelineRun, "/")
		run := s.Get("PipelineRun", ns, name)
		if ns != namespace || !c.Kept || c.Owned || run == nil || !run.Deleted {
			continue
		}
		links = append(links, claimLeft.link(c.Object, fmt.Sprintf("metadata.ownerReferences: none; %s deleted by %s, at %.0f s", run.Ref, run.DeletedBy, run.DeletedAt), c.PipelineRun, c.Object))
	}
	return links
}

// counted are the kinds that quotas count by the name of their resource.
var counted = regexp.MustCompile(`count/(pods|persistentvolumeclaims|statefulsets|taskruns|pipelineruns)\b`)

// quotaKind is the kind of what counts in a quota of what was asked for: claims for
// storage, what is counted by name, else pods; empty for a kind that is not known here.
func quotaKind(requested string) string {
	switch {
	case strings.Contains(requested, "storage") && !strings.Contains(requested, "ephemeral-storage"):
		return "PersistentVolumeClaim"
	case strings.Contains(requested, "count/"):
		m := counted.FindStringSubmatch(requested)
		if m == nil {
			return ""
		}
		return map[string]string{"pods": "Pod", "persistentvolumeclaims": "PersistentVolumeClaim", "statefulsets": "StatefulSet", "taskruns": "TaskRun", "pipelineruns": "PipelineRun"}[m[1]]
	case strings.Contains(requested, "persistentvolumeclaims"):
		return "PersistentVolumeClaim"
	}
	return "Pod"
}

// quotaUsers names what counts in a namespace's quota of what was asked for; pods that
// have ended do not.
func quotaUsers(s *timeline.View, namespace, requested string) []string {
	kind := quotaKind(requested)
	var out []string
	for _, o := range s.In(kind, namespace) {
		phase := o.Text("status", "phase")
		if kind != "Pod" || phase != string(corev1.PodSucceeded) && phase != string(corev1.PodFailed) {
			out = append(out, o.Ref.String())
		}
	}
	return out
}

// limitRangeWords are how LimitRanger begins its complaints
// (plugin/pkg/admission/limitranger of Kubernetes).
var limitRangeWords = regexp.MustCompile(`(minimum|maximum) [a-z.\-/]+ (usage|limit) per (Container|Pod)|[a-z.\-/]+ max limit to request ratio per (Container|Pod)`)

func limitRangeCause(s *timeline.View, namespace, message string) (Link, bool) {
	if m := overLimit.FindStringSubmatch(message); m != nil {
		return defaultLimit(s, namespace, m[1], strings.TrimRight(m[2], ".,;]"))
	}
	if !limitRangeWords.MatchString(message) {
		return Link{}, false
	}
	for _, l := range s.In("LimitRange", namespace) {
		return limitRangeNamed.link("LimitRange "+namespace+"/"+l.Ref.Name, "spec.limits: "+l.JSON("spec", "limits"), l.Ref.Name), true
	}
	return limitRange.link("Namespace "+namespace, limitRangeWords.FindString(message)), true
}

// overLimit is the API server's complaint about a container that asks for more than
// its limit (ValidateContainerResourceRequirements in pkg/apis/core/validation of
// Kubernetes).
var overLimit = regexp.MustCompile(`must be less than or equal to (\S+) limit of (\S+)`)

// defaultLimit says that a limit which a pod's author may not have written is a
// LimitRange's default; one that is no such default is the author's.
func defaultLimit(s *timeline.View, namespace, name, limit string) (Link, bool) {
	have, err := resource.ParseQuantity(limit)
	if err != nil {
		return Link{}, false
	}
	for _, l := range s.In("LimitRange", namespace) {
		var r corev1.LimitRange
		if l.Decode(&r) != nil || !slices.ContainsFunc(r.Spec.Limits, func(item corev1.LimitRangeItem) bool {
			q, ok := item.Default[corev1.ResourceName(name)]
			return ok && item.Type == corev1.LimitTypeContainer && q.Cmp(have) == 0
		}) {
			continue
		}
		return limitRangeDefault.link(l.Ref.String(), "spec.limits: "+l.JSON("spec", "limits"), l.Ref.Name), true
	}
	return Link{}, false
}

// refusedPod is the pod in a refused request.
func refusedPod(e history.Entry) *corev1.Pod {
	var pod corev1.Pod
	if len(e.Body) == 0 || json.Unmarshal(e.Body, &pod) != nil {
		return nil
	}
	return &pod
}

// clusterTasks says that a manifest was refused for a reference to a ClusterTask,
// which upstream's words do not: since Tekton 1.0 a kind that it does not know is
// a custom task's.
func clusterTasks(e history.Entry) []Link {
	if !strings.Contains(e.Message, "custom task ref must specify apiVersion") {
		return nil
	}
	var names, refs []string
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				look(e)
			}
		case map[string]any:
			if ref, _ := v["taskRef"].(map[string]any); ref != nil && ref["kind"] == "ClusterTask" {
				raw, _ := json.Marshal(ref)
				if name := fmt.Sprint(ref["name"]); !slices.Contains(names, name) {
					names, refs = append(names, name), append(refs, "taskRef: "+string(raw))
				}
			}
			for _, k := range slices.Sorted(maps.Keys(v)) {
				look(v[k])
			}
		}
	}
	var body any
	if err := json.Unmarshal(e.Body, &body); err != nil {
		return nil
	}
	look(body)
	if len(names) == 0 {
		return nil
	}
	return []Link{clusterTasksGone.link(e.Object.String(), strings.Join(refs, "; "), strings.Join(names, ", "))}
}
