// Package gcp stands in for sigstore's client of Google Cloud's key management, see
// docs/real-and-simulated.md: no simulated cluster can reach it.
package gcp
