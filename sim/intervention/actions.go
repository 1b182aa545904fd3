package intervention

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// act does what an intervention says; f is what the history is told of it.
type act func(all *Interventions, v *scenario.Intervention, f *history.Intervention) error

// acts say how each action of package scenario is done, by the field that asks for it.
func acts() map[string]act {
	return map[string]act{
		"apply":         apply,
		"patch":         patch,
		"delete":        remove,
		"setFlags":      setFlags,
		"controller":    control,
		"swapRelease":   swapRelease,
		"removeNode":    removeNode,
		"cordon":        cordon,
		"uncordon":      uncordon,
		"drain":         drain,
		"scaleDown":     scaleDown,
		"taint":         taint,
		"untaint":       untaint,
		"registryFails": registryFails,
		"webhookFails":  webhookFails,
		"storageFails":  storageFails,
		"nodeSilent":    nodeSilent,
		"clockShift":    clockShift,
		"zoneSilent":    zoneSilent,
		"apiErrors":     apiErrors,
		"schedulerAway": schedulerAway,
		"end":           endFaults,
		"nodeShutdown":  nodeShutdown,
		"runtimeFails":  runtimeFails,
		"memoryTaken":   memoryTaken,
	}
}
