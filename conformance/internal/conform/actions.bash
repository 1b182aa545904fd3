# What a case's actions.sh can use. It runs in the control plane's network, in the
# case's namespace, beside the case.

# k: kubectl in the case's namespace.
k() { kubectl -n "$CASE_NAMESPACE" "$@"; }

# mark TEXT: a line of the time line that says what is done now.
mark() { "$CONFORMANCE" ask mark "$*"; }

# cluster ORDER: what is done to the machines and to Tekton's processes; an order
# that there is not lists all.
cluster() { "$CONFORMANCE" ask cluster "$@"; }

# podof TASK: the newest pod of a pipeline task.
podof() { k get pods -l "tekton.dev/pipelineTask=$1" --sort-by=.metadata.creationTimestamp -o jsonpath='{.items[-1:].metadata.name}' 2>/dev/null; }

# nodeof TASK: the node of that pod.
nodeof() { k get pod "$(podof "$1")" -o jsonpath='{.spec.nodeName}'; }

# running TASK [SECONDS]: waits until one pod of a pipeline task is Running, and so long more.
running() {
  until [ "$(k get pods -l "tekton.dev/pipelineTask=$1" -o jsonpath='{.items[*].status.phase}' 2>/dev/null | grep -cw Running)" = 1 ]; do sleep 0.5; done
  sleep "${2:-0}"
}
