// Package kubeapi talks to an API server in the little that this module needs:
// read, patch, delete and watch, objects as JSON.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Client is a client with the rights of one token.
type Client struct {
	url, token string
	http       *http.Client
}

// New makes a client of the API server at a URL, which shows a certificate of ca.
func New(url, token string, ca *x509.CertPool, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	return &Client{url, token, &http.Client{Transport: &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: ca, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}}}
}

// StatusError is an answer other than success.
type StatusError struct {
	Code    int
	Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Code, http.StatusText(e.Code), e.Message)
}

// NotFound says whether err is the API server's word that there is no such thing.
func NotFound(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Code == http.StatusNotFound
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body any) (io.ReadCloser, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	rq, err := http.NewRequestWithContext(ctx, method, c.url+path, r)
	if err != nil {
		return nil, err
	}
	rq.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		rq.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(rq)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		_ = resp.Body.Close() // read to its end or broken
		if err != nil {
			return nil, err
		}
		var s struct{ Message string }
		if json.Unmarshal(b, &s) != nil || s.Message == "" {
			s.Message = string(b)
		}
		return nil, &StatusError{resp.StatusCode, s.Message}
	}
	return resp.Body, nil
}

func (c *Client) object(ctx context.Context, method, path, contentType string, body any) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	b, err := c.do(ctx, method, path, contentType, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer b.Close()
	o, err := decode(json.NewDecoder(b))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return o, nil
}

// Get reads an object or a list.
func (c *Client) Get(ctx context.Context, path string) (map[string]any, error) {
	return c.object(ctx, http.MethodGet, path, "", nil)
}

// Create makes an object in the collection at path.
func (c *Client) Create(ctx context.Context, path string, o any) error {
	_, err := c.object(ctx, http.MethodPost, path, "application/json", o)
	return err
}

// Merge patches the object at path (JSON merge patch).
func (c *Client) Merge(ctx context.Context, path string, patch any) (map[string]any, error) {
	return c.object(ctx, http.MethodPatch, path, "application/merge-patch+json", patch)
}

// Delete deletes the object at path; one that is not there is no error.
func (c *Client) Delete(ctx context.Context, path string) error {
	_, err := c.object(ctx, http.MethodDelete, path, "", nil)
	if NotFound(err) {
		return nil
	}
	return err
}

// Ready says whether the API server is.
func (c *Client) Ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	b, err := c.do(ctx, http.MethodGet, "/readyz", "", nil)
	if err != nil {
		return false
	}
	_ = b.Close() // only the status matters
	return true
}

// Event is one event of a watch.
type Event struct {
	Type   string
	Object map[string]any
}

// Watch shows the changes of the collection at path from a version on ("": all
// that is there first) to f, until the watch ends.
func (c *Client) Watch(ctx context.Context, path, version string, f func(Event)) error {
	q := url.Values{"watch": {"1"}, "allowWatchBookmarks": {"true"}}
	if version != "" {
		q.Set("resourceVersion", version)
	}
	b, err := c.do(ctx, http.MethodGet, path+"?"+q.Encode(), "", nil)
	if err != nil {
		return fmt.Errorf("watching %s: %w", path, err)
	}
	defer b.Close()
	d := json.NewDecoder(b)
	for {
		o, err := decode(d)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("watching %s: %w", path, err)
		}
		t, _ := o["type"].(string)
		object, _ := o["object"].(map[string]any)
		f(Event{t, object})
	}
}

// decode reads whole numbers as such.
func decode(d *json.Decoder) (map[string]any, error) {
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	numbers(o)
	return o, nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = numbers(e)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	}
	return v
}
