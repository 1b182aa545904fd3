// Package resolvers stands in for Tekton's resolvers, which are a Deployment of their own
// and for the most part fetch from the network. What they are asked ([Resolvers.Take])
// and what Tekton's controller makes of the answers are real; an answer is an object of
// the cluster or, for what would be fetched from elsewhere, one of the manifests.
package resolvers
