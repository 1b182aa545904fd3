// Package e2e tests OpenShift's admission as a real API server asks it.
package e2e
