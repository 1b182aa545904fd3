package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"
)

const (
	envPrefix     = "SIMCTL"
	defaultConfig = ".simctl.yaml"
)

// config are a verb's settings: flag over environment over file over default.
type config struct {
	v   *viper.Viper
	cmd *cobra.Command
}

// newConfig reads the settings of cmd.
func newConfig(cmd *cobra.Command) (*config, error) {
	v := viper.New()
	v.SetEnvPrefix(envPrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if err := v.BindPFlags(cmd.Flags()); err != nil {
		return nil, fmt.Errorf("reading the flags: %w", err)
	}
	c := &config{v: v, cmd: cmd}
	file := v.GetString("config")
	if file == "" {
		if _, err := os.Stat(defaultConfig); errors.Is(err, fs.ErrNotExist) {
			return c, nil
		}
		file = defaultConfig
	}
	v.SetConfigFile(file)
	v.SetConfigType("yaml")
	if err := v.ReadInConfig(); err != nil {
		return nil, fmt.Errorf("reading the configuration: %s: %s", file, oneLine(err.Error()))
	}
	if err := checkKeys(cmd, file); err != nil {
		return nil, err
	}
	return c, nil
}

// checkKeys refuses a key of the file that is no flag of any verb.
func checkKeys(cmd *cobra.Command, file string) error {
	known := flagsOf(cmd.Root())
	// These make no sense in a file.
	for _, name := range []string{"help", "config", "resume"} {
		delete(known, name)
	}
	alone := viper.New()
	alone.SetConfigFile(file)
	alone.SetConfigType("yaml")
	if err := alone.ReadInConfig(); err != nil {
		return fmt.Errorf("reading the configuration: %s: %s", file, oneLine(err.Error()))
	}
	var names []string
	for name := range known {
		names = append(names, name)
	}
	sort.Strings(names)
	keys := alone.AllKeys()
	sort.Strings(keys)
	var errs []error
	for _, key := range keys {
		if !known[key] {
			errs = append(errs, fmt.Errorf("%s: unknown setting %q: use one of %s", file, key, strings.Join(names, ", ")))
		}
	}
	return errors.Join(errs...)
}

// verb is the verb that the settings are for.
func (c *config) verb() string { return c.cmd.Name() }

// given says that a flag stands on the command line.
func (c *config) given(name string) bool { return c.cmd.Flags().Changed(name) }

// isSet says that a flag of the verb is set anywhere. The environment and the file
// may have settings for other verbs.
func (c *config) isSet(key string) bool {
	return c.cmd.Flags().Lookup(key) != nil && c.v.IsSet(key)
}

func (c *config) string(key string) string { return c.v.GetString(key) }
func (c *config) number(key string) (int64, error) {
	text := strings.TrimSpace(fmt.Sprint(c.v.Get(key)))
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q and must be a whole number", key, text)
	}
	return n, nil
}

// count is a number that is not negative.
func (c *config) count(key string) (int, error) {
	n, err := c.number(key)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > 1<<30 {
		return 0, fmt.Errorf("%s is %d and must be 0 or more", key, n)
	}
	return int(n), nil
}

func (c *config) bool(key string) (bool, error) {
	text := strings.TrimSpace(fmt.Sprint(c.v.Get(key)))
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s is %q and must be true or false", key, text)
	}
	return b, nil
}

// list returns a setting's elements. In the environment they stand in one
// variable with commas between them.
func (c *config) list(key string) []string {
	var out []string
	add := func(s string) {
		for _, e := range strings.Split(s, ",") {
			if e = strings.TrimSpace(e); e != "" {
				out = append(out, e)
			}
		}
	}
	switch v := c.v.Get(key).(type) {
	case nil:
	case []string:
		for _, s := range v {
			add(s)
		}
	case []any:
		for _, s := range v {
			add(fmt.Sprint(s))
		}
	default:
		add(fmt.Sprint(v))
	}
	return out
}

// parseSet reads axis=value[,value] settings whose commas are split already: an
// element without "=" is one more value of the axis before it.
func parseSet(elements []string) (map[string][]string, error) {
	set := map[string][]string{}
	axis := ""
	for _, e := range elements {
		value := e
		if name, v, ok := strings.Cut(e, "="); ok {
			axis, value = strings.TrimSpace(name), v
		}
		value = strings.TrimSpace(value)
		if axis == "" || value == "" {
			return nil, fmt.Errorf("set %q: write axis=value or axis=value,value", e)
		}
		set[axis] = append(set[axis], value)
	}
	return set, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
