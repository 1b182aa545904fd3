// Package hashivault stands in for sigstore's client of Vault's key management, see
// docs/real-and-simulated.md: no simulated cluster can reach it.
package hashivault
