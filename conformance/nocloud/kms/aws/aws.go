// Package aws stands in for sigstore's client of AWS's key management, see
// docs/real-and-simulated.md: no simulated cluster can reach it.
package aws
