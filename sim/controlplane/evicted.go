package controlplane

import (
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// isEviction says whether a request asks for the eviction of a pod.
func isEviction(where target) bool {
	return where.group == "" && where.resource == "pods" && where.subresource == "eviction"
}

// findsEvicted is the link that finds what an eviction has done to its pod, which the
// answer does not show. The API server has dated the reason by the host's clock, and
// nobody can tell it the time: that is put right here.
func (t *Tap) findsEvicted(req *http.Request, c *call, next sender) (*http.Response, error) {
	resp, err := next(req, c)
	if err != nil || c.kind != kindWrite || !isEviction(c.where) || resp.StatusCode >= http.StatusMultipleChoices {
		return resp, err
	}
	path := strings.TrimSuffix(req.URL.Path, "/eviction")
	pod := aboutPod(req, c, next, http.MethodGet, path, nil)
	if fix := t.redated(pod); fix != nil {
		if fixed := aboutPod(req, c, next, http.MethodPatch, path+"/status", fix); fixed != nil {
			pod = fixed
		}
	}
	c.answered(pod)
	return resp, nil
}

// aboutPod has a request about a pod answered on behalf of another one; nil if there is no
// such pod.
func aboutPod(of *http.Request, c *call, send sender, method, path string, patch []byte) []byte {
	req := of.Clone(of.Context())
	req.Method, req.URL.Path, req.URL.RawQuery = method, path, ""
	req.Body, req.ContentLength = http.NoBody, 0
	if patch != nil {
		req.Header.Set("Content-Type", string(types.StrategicMergePatchType))
	}
	own := &call{actor: c.actor, where: parsePath(path), kind: kindTrial, sent: patch}
	resp, err := send(req, own)
	if err != nil {
		return nil
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	return own.got
}
