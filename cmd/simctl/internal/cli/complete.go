package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/scenario"
)

// completeFlag sets what the shell offers for a flag's value.
func completeFlag(cmd *cobra.Command, flag string, offer cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, offer); err != nil {
		panic(err) // the flag was not defined before
	}
}

// completeSet offers the axes of the scenarios on the command line and, after
// "axis=", the values that are not there yet.
func completeSet(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	// Those that can be read are offered, even if others are broken.
	files, _ := scenario.LoadAll(args)
	name, given, ok := strings.Cut(prefix, "=")
	var out []string
	for _, f := range files {
		for _, axis := range f.Scenario.Axes {
			if !ok {
				offer := cobra.CompletionWithDesc(axis.Name+"=", fmt.Sprintf("%d values in %s", len(axis.Values), f.Scenario.Metadata.Name))
				if !slices.ContainsFunc(out, func(o string) bool { return strings.HasPrefix(o, axis.Name+"=") }) {
					out = append(out, offer)
				}
				continue
			}
			if axis.Name != name {
				continue
			}
			before := ""
			if i := strings.LastIndex(given, ","); i >= 0 {
				before = given[:i+1]
			}
			for _, v := range axis.Values {
				offer := name + "=" + before + v.Name
				if !slices.Contains(strings.Split(before, ","), v.Name) && !slices.Contains(out, offer) {
					out = append(out, offer)
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	// A further value may follow by a comma, and a value must follow an axis.
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeReleases offers the releases that are known, with commas between them.
func completeReleases(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	before := prefix[:strings.LastIndex(prefix, ",")+1]
	return releasesAfter(before, prefix), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeRelease offers the releases that are known.
func completeRelease(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return releasesAfter("", prefix), cobra.ShellCompDirectiveNoFileComp
}

// releasesAfter returns the releases that may follow those before and begin as prefix
// says, by both their names, the newest first.
func releasesAfter(before, prefix string) []string {
	given := strings.Split(before, ",")
	var out []string
	for _, r := range slices.Backward(releases.Known()) {
		osp := ""
		if r.OpenShiftPipelines != "" {
			osp = "osp-" + r.OpenShiftPipelines
		}
		if slices.Contains(given, r.Version) || osp != "" && slices.Contains(given, osp) {
			continue
		}
		for _, name := range [][2]string{{r.Version, osp}, {osp, "Tekton " + r.Version}} {
			if name[0] != "" && strings.HasPrefix(before+name[0], prefix) {
				out = append(out, cobra.CompletionWithDesc(before+name[0], name[1]))
			}
		}
	}
	return out
}
