// Package azure stands in for sigstore's client of Azure's key management, see
// docs/real-and-simulated.md: no simulated cluster can reach it.
package azure
