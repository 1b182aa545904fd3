package controlplane

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// eventStore answers what is asked about Events in the API server's place. Nobody in a
// cluster decides anything by an Event, and a third of all writes are Events, so
// that they are recorded and not stored: it saves etcd and the API server their
// work, and the removal afterwards.
type eventStore struct {
	mu     sync.Mutex
	last   int
	events map[string][]byte // by namespace/name, the bodies as answered
}

// keepsEvents is the link that answers what is asked about Events.
func (t *Tap) keepsEvents(req *http.Request, c *call, next sender) (*http.Response, error) {
	if !isEvent(c.where) || c.kind == kindWatch || req.Method == http.MethodHead {
		return next(req, c)
	}
	resp, got := t.events.answer(req, c.where, c.sent)
	c.answered(got)
	return resp, nil
}

// isEvent says whether a request is about Events.
func isEvent(where target) bool {
	return where.resource == "events" && where.subresource == "" && (where.group == "" || where.group == "events.k8s.io")
}

// forget drops all events.
func (s *eventStore) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = nil
}

// answer does what req asks for with the body sent, and returns the answer as the
// API server would.
func (s *eventStore) answer(req *http.Request, where target, sent []byte) (*http.Response, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var code int
	var body []byte
	if req.Method == http.MethodGet {
		code, body = s.read(where)
	} else {
		code, body = s.write(req, where, toJSON(sent))
	}
	return answerJSON(req, code, body), body
}

// read returns one event, or the list of those of a namespace, or of all; in the API
// group in which they were made.
func (s *eventStore) read(where target) (int, []byte) {
	if where.name != "" {
		if body := s.events[where.namespace+"/"+where.name]; body != nil {
			return http.StatusOK, body
		}
		return http.StatusNotFound, refusal(http.StatusNotFound, "events \""+where.name+"\" not found")
	}
	version := eventVersion(where)
	list := struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]string `json:"metadata"`
		Items      []json.RawMessage `json:"items"`
	}{version, "EventList", map[string]string{"resourceVersion": strconv.Itoa(s.last)}, []json.RawMessage{}}
	for _, key := range slices.Sorted(maps.Keys(s.events)) {
		if o, err := decode(s.events[key]); err == nil && o.GetAPIVersion() == version && (where.namespace == "" || o.GetNamespace() == where.namespace) {
			list.Items = append(list.Items, s.events[key])
		}
	}
	body, err := json.Marshal(list)
	if err != nil {
		return http.StatusInternalServerError, refusal(http.StatusInternalServerError, err.Error())
	}
	return http.StatusOK, body
}

func eventVersion(where target) string {
	if where.group == "" {
		return "v1"
	}
	return where.group + "/v1"
}

func (s *eventStore) write(req *http.Request, where target, sent []byte) (int, []byte) {
	key := where.namespace + "/" + where.name
	old := s.events[key]
	var event map[string]any
	code := http.StatusOK
	switch req.Method {
	case http.MethodPost:
		if err := json.Unmarshal(sent, &event); err != nil {
			return http.StatusBadRequest, refusal(http.StatusBadRequest, err.Error())
		}
		code = http.StatusCreated
	case http.MethodPut, http.MethodPatch:
		if old == nil {
			// Whoever repeats an event that is gone makes a new one.
			return http.StatusNotFound, refusal(http.StatusNotFound, "events \""+where.name+"\" not found")
		}
		if req.Method == http.MethodPatch {
			// No list of an Event is merged by a key, so that a strategic merge
			// patch means what a merge patch means.
			merged, err := jsonpatch.MergePatch(old, sent)
			if err != nil {
				return http.StatusBadRequest, refusal(http.StatusBadRequest, err.Error())
			}
			sent = merged
		}
		if err := json.Unmarshal(sent, &event); err != nil {
			return http.StatusBadRequest, refusal(http.StatusBadRequest, err.Error())
		}
	default: // deletions
		if where.name == "" {
			s.events = nil
		}
		delete(s.events, key)
		return http.StatusOK, []byte(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}`)
	}
	meta, _ := event["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		event["metadata"] = meta
	}
	if code == http.StatusCreated {
		meta["namespace"] = where.namespace
		meta["uid"] = string(uuid.NewUUID())
		meta["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
		name, _ := meta["name"].(string)
		if name == "" {
			prefix, _ := meta["generateName"].(string)
			name = prefix + strconv.Itoa(s.last+1)
			meta["name"] = name
		}
		key = where.namespace + "/" + name
	}
	s.last++
	meta["resourceVersion"] = strconv.Itoa(s.last)
	if event["kind"] == nil {
		event["kind"] = "Event"
		event["apiVersion"] = eventVersion(where)
	}
	body, err := json.Marshal(event)
	if err != nil {
		return http.StatusInternalServerError, refusal(http.StatusInternalServerError, err.Error())
	}
	if s.events == nil {
		s.events = map[string][]byte{}
	}
	s.events[key] = body
	return code, body
}
