// Package demand says what manifests ask of others: which objects they refer to and
// what of them they use, and what the pods of their runs want of nodes and of who
// admits pods.
//
// [Of] walks from the runs by way of pipelines and tasks to the pods that these come to,
// as far as the manifests tell, with the parameters put in that are known before
// anything runs. It is a pure function of the manifests.
package demand
