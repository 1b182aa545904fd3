package wellknown

// The names under which simctl's own writes are recorded. They are words that mean other
// things elsewhere.
const (
	Simctl   = "simctl"          // the cluster that a cell asks for
	User     = "user"            // the workload, and what is done to it
	Machines = "machines"        // kubelets and CSI drivers
	Operator = "tekton-operator" // whoever sets Tekton's flags
)
