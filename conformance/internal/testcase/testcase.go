// Package testcase reads the cases: folders with what is applied to a namespace,
// what is done meanwhile, and the settings of both.
package testcase

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Case is one case.
type Case struct {
	Name string
	Dir  string
	// Manifests are applied in this order.
	Manifests []string
	// Actions is a shell script, "" if nothing is done meanwhile.
	Actions string
	Settings
}

// Settings are what the file of that name may set, as NAME=VALUE.
type Settings struct {
	// Coschedule is Tekton's feature flag of that name.
	Coschedule string
	// Defaults are keys of Tekton's config-defaults.
	Defaults map[string]string
	// Max is how long the ends of the runs are waited for.
	Max time.Duration
	// Settle is how long is recorded after them.
	Settle time.Duration
	// Rare says that what was recorded came by chance, and will hardly come again: the
	// case is played only if it is named.
	Rare bool
	// Loss says that the case loses a node: it gets nodes with the label and the
	// taint pool=loss for it.
	Loss bool
}

// Read reads the case in a folder.
func Read(dir string) (Case, error) {
	c := Case{Name: filepath.Base(dir), Dir: dir}
	manifests, err := filepath.Glob(filepath.Join(dir, "manifests", "*.yaml"))
	if err != nil {
		return c, err
	}
	if len(manifests) == 0 {
		return c, fmt.Errorf("case %s: no manifests/*.yaml", dir)
	}
	slices.Sort(manifests)
	c.Manifests = manifests
	if f := filepath.Join(dir, "actions.sh"); exists(f) {
		c.Actions = f
	}
	settings, err := os.ReadFile(filepath.Join(dir, "settings"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	if c.Settings, err = parseSettings(string(settings)); err != nil {
		return c, fmt.Errorf("case %s: settings: %w", c.Name, err)
	}
	return c, nil
}

// ReadAll reads the cases in a folder that have one of the names; no name: all but
// the rare ones.
func ReadAll(dir string, names ...string) ([]Case, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the cases: %w", err)
	}
	var all []string
	for _, e := range entries {
		if exists(filepath.Join(dir, e.Name(), "manifests")) {
			all = append(all, e.Name())
		}
	}
	named := len(names) > 0
	if !named {
		names = all
	}
	var cases []Case
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("no case %q; there are: %s", n, strings.Join(all, " "))
		}
		c, err := Read(filepath.Join(dir, n))
		if err != nil {
			return nil, err
		}
		if named || !c.Rare {
			cases = append(cases, c)
		}
	}
	// The nodes for losing are started once, for the last cases.
	slices.SortStableFunc(cases, func(a, b Case) int { return cmp.Compare(number(a.Loss), number(b.Loss)) })
	return cases, nil
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func exists(f string) bool {
	_, err := os.Stat(f)
	return err == nil
}

func parseSettings(s string) (Settings, error) {
	r := Settings{Coschedule: "workspaces", Max: 240 * time.Second, Settle: 12 * time.Second}
	words, err := words(s)
	if err != nil {
		return r, err
	}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			return r, fmt.Errorf("%q is no NAME=VALUE", w)
		}
		switch k {
		case "coschedule":
			r.Coschedule = v
		case "defaults":
			err = json.Unmarshal([]byte(v), &r.Defaults)
		case "max":
			r.Max, err = seconds(v)
		case "settle":
			r.Settle, err = seconds(v)
		case "pool":
			if v != "loss" {
				err = errors.New("there is only the pool loss")
			}
			r.Loss = true
		case "rare":
			r.Rare, err = strconv.ParseBool(v)
		default:
			err = errors.New("there is no such setting")
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", w, err)
		}
	}
	return r, nil
}

func seconds(s string) (time.Duration, error) {
	n, err := strconv.Atoi(s)
	if err == nil && n <= 0 {
		err = errors.New("must be more than 0 seconds")
	}
	return time.Duration(n) * time.Second, err
}

// words splits at blanks outside of single quotes, as a shell does; # begins a comment.
func words(s string) ([]string, error) {
	var r []string
	var w strings.Builder
	in, quoted, comment := false, false, false
	for _, c := range s {
		blank := c == ' ' || c == '\t' || c == '\n'
		switch {
		case comment:
			comment = c != '\n'
		case c == '\'':
			in, quoted = true, !quoted
		case quoted || !blank && (in || c != '#'):
			in = true
			w.WriteRune(c)
		case c == '#':
			comment = true
		case in:
			r = append(r, w.String())
			w.Reset()
			in = false
		}
	}
	if quoted {
		return nil, errors.New("a ' is not closed")
	}
	if in {
		r = append(r, w.String())
	}
	return r, nil
}
