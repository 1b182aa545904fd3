package verdict

// met says whom the fault has met that is an intervention's; nil if it is none that lasts.
func (t *judging) met(index int) *Met {
	for _, m := range t.Met {
		if m.Data.Index != index {
			continue
		}
		out := &Met{Count: m.Data.Count, Whom: m.Data.Whom}
		if m.Data.Over {
			out.EndedT = &m.T
		}
		return out
	}
	return nil
}
