package storage

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestContents runs the script testdata/contents.txt: lines that begin with ">"
// are commands, the lines after each are what they give.
func TestContents(t *testing.T) {
	const file = "testdata/contents.txt"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var v *Volume
	for _, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "#"), line == "":
			fmt.Fprintln(&out, line)
		case strings.HasPrefix(line, "> "):
			fmt.Fprintln(&out, line)
			v = runCommand(t, &out, v, strings.Fields(line[2:]))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if out.String() != string(raw) {
		t.Errorf("the script gives something else (rewrite it with -update):\n%s", out.String())
	}
}

// runCommand runs one command: a verb and name=value pairs.
func runCommand(t *testing.T, out *strings.Builder, v *Volume, fields []string) *Volume {
	t.Helper()
	args := map[string]string{}
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		args[name] = value
	}
	number := func(name string, base int) int64 {
		if args[name] == "" {
			return 0
		}
		n, err := strconv.ParseInt(args[name], base, 64)
		if err != nil {
			t.Fatalf("%v: %v", fields, err)
		}
		return n
	}
	p := Process{UID: number("uid", 10), GID: number("gid", 10)}
	if args["group"] != "" {
		p.Groups = []int64{number("group", 10)}
	}
	answer := func(e Entry, err error) {
		if err != nil {
			fmt.Fprintln(out, err)
			return
		}
		fmt.Fprintf(out, "%s %d:%d\n", ModeString(e.Mode), e.UID, e.GID)
	}
	switch fields[0] {
	case "new":
		v = NewVolume("ns", "claim", number("size", 10), uint32(number("mode", 8)))
		v.Fill(number("files", 10), number("used", 10))
	case "write":
		answer(v.Write(p, args["path"], uint32(number("mode", 8)), number("bytes", 10), max(number("files", 10), 1)))
	case "read":
		answer(v.Read(p, args["path"]))
	case "delete":
		if _, err := v.Delete(p, args["path"]); err != nil {
			fmt.Fprintln(out, err)
		}
	case "subpath":
		v.MakeSubPath(args["path"])
	case "chown":
		files, skipped := v.ChangeOwnership(number("group", 10), args["policy"] == "OnRootMismatch")
		fmt.Fprintf(out, "files %d skipped %v\n", files, skipped)
	case "show":
		fmt.Fprintf(out, "used %d files %d\n", v.Used(), v.Files())
		for _, e := range v.Entries() {
			fmt.Fprintf(out, "%s %d:%d /%s", ModeString(e.Mode), e.UID, e.GID, e.Path)
			if e.Files > 0 {
				fmt.Fprintf(out, " holds %d files %s", e.Files, ModeString(e.FileMode))
			}
			fmt.Fprintln(out)
		}
	default:
		t.Fatalf("no such command: %v", fields)
	}
	return v
}
