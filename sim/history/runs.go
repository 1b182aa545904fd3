package history

// Ended says whether among the conditions of a run's status Succeeded is True or False.
func Ended(conditions any) bool {
	list, _ := conditions.([]any)
	for _, c := range list {
		if m, ok := c.(map[string]any); ok && m["type"] == "Succeeded" {
			return m["status"] != "Unknown"
		}
	}
	return false
}
