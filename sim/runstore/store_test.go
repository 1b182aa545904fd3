package runstore

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"simctl.dev/simctl/sim/internal/fileformat"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

func record(id, fingerprint string) Record {
	return Record{ID: id, Fingerprint: fingerprint, Cell: verdict.Cell{
		Scenario: "s", Values: map[string]string{"tekton": "1.3.1"}, Finding: verdict.Finding{Outcome: verdict.Deadlock},
	}}
}

func create(t *testing.T, dir string) *Run {
	t.Helper()
	r, err := Create(dir, Info{ID: "one", Paths: []string{"scenarios"}, Options: Options{Set: []string{"a=b"}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "one")
	r := create(t, dir)
	for _, rec := range []Record{record("a", "1"), record("b", "1"), record("a", "2")} {
		if err := r.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := r.Info(); got.ID != "one" || !reflect.DeepEqual(got.Options.Set, []string{"a=b"}) {
		t.Errorf("Info = %+v", got)
	}
	for _, c := range []struct {
		id, fingerprint string
		want            bool
	}{{"a", "1", false}, {"a", "2", true}, {"b", "1", true}, {"b", "2", false}, {"c", "1", false}} {
		cell, ok := r.Finished(c.id, c.fingerprint)
		if ok != c.want {
			t.Errorf("Finished(%s, %s) = %t, want %t", c.id, c.fingerprint, ok, c.want)
		}
		if ok && cell.Outcome != verdict.Deadlock {
			t.Errorf("Finished(%s, %s) has outcome %q", c.id, c.fingerprint, cell.Outcome)
		}
	}
}

// A crash in the middle of a write costs that cell alone.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	r := create(t, dir)
	if err := r.Append(record("a", "1")); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, cellsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, whole[:20]...), 0o644); err != nil {
		t.Fatal(err)
	}

	r, err = Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Finished("a", "1"); !ok {
		t.Error("the whole line was lost")
	}
	if err := r.Append(record("b", "1")); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("line is no JSON: %s", line)
		}
	}

	// Damage in the middle is not passed over.
	if err := os.WriteFile(path, append([]byte("{\"id\":\n"), whole...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "line 1 is damaged") {
		t.Errorf("Open of a damaged list: %v", err)
	}
}

// TestVersions goes on with a run as each version left it: without what the files say
// of themselves, with it, and with a version to come.
func TestVersions(t *testing.T) {
	dir := t.TempDir()
	cell := scenario.Cell{Scenario: "s"}
	r := create(t, dir)
	if err := errors.Join(r.Append(record("a", "1")), r.WriteCell(cell), r.Close()); err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{
		"run":   filepath.Join(dir, infoFile),
		"cells": filepath.Join(dir, cellsFile),
		"cell":  filepath.Join(dir, cellsDir, cell.ID(), cellFile),
	}
	// read uses each of the three files.
	read := func() error {
		r, err := Open(dir)
		if err != nil {
			return err
		}
		defer r.Close()
		if _, ok := r.Finished("a", "1"); !ok || r.Info().ID != "one" {
			t.Errorf("the run is %+v with the cell finished: %v", r.Info(), ok)
		}
		c, err := ReadCell(dir, cell.ID())
		if err == nil && c.Scenario != "s" {
			t.Errorf("the cell is %+v", c)
		}
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	now := map[string]string{}
	for name, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		now[name] = string(raw)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(paths[name], []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// said is what a file says of itself, in the place where it stands.
	said := regexp.MustCompile(`(?s)"format": ?"simctl.dev/(\w+)",\s*"version": ?1,?\s*`)
	for name, content := range now {
		if m := said.FindStringSubmatch(content); m == nil || m[1] != name {
			t.Fatalf("the %s file does not say what it is:\n%s", name, content)
		}
		write(name, strings.TrimPrefix(said.ReplaceAllString(content, ""), "{}\n"))
	}
	if err := read(); err != nil {
		t.Errorf("version 0: %v", err)
	}
	for name, content := range now {
		for was, c := range now {
			write(was, c)
		}
		for replace, want := range map[string]error{
			`"format":"simctl.dev/` + name + `","version":2,`: ErrNewer,
			`"format":"simctl.dev/other","version":1,`:        fileformat.ErrForeign,
		} {
			if name == "cells" {
				replace = strings.TrimSuffix(replace, ",")
			}
			write(name, said.ReplaceAllString(content, replace))
			if err := read(); !errors.Is(err, want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s with %s: %v, want one line that says: %v", name, replace, err, want)
			}
		}
	}
}

// TestNewerRunIsListed: a run of a newer simctl is shown and stays.
func TestNewerRunIsListed(t *testing.T) {
	root := t.TempDir()
	r := create(t, filepath.Join(root, "known"))
	r.Close()
	if err := os.Mkdir(filepath.Join(root, "newer"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "newer", infoFile), []byte(`{"format":"simctl.dev/run","version":99,"id":7}`), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := List(root)
	if err != nil || len(all) != 2 {
		t.Fatalf("List = %+v, %v", all, err)
	}
	for _, k := range all {
		if newer := filepath.Base(k.Dir) == "newer"; errors.Is(k.Err, ErrNewer) != newer || newer && k.Info.ID != "newer" {
			t.Errorf("listed %+v", k)
		}
	}
	gone, err := Prune(root, time.Now(), 0)
	if err != nil || len(gone) != 1 || filepath.Base(gone[0].Dir) != "known" {
		t.Errorf("removed %+v, %v", gone, err)
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	r := create(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrBusy) {
		t.Errorf("Open while it is written: %v", err)
	}
	if _, err := Create(dir, Info{ID: "two"}); !errors.Is(err, ErrBusy) {
		t.Errorf("Create while it is written: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	r.Close()
}

func TestCreateOver(t *testing.T) {
	dir := t.TempDir()
	r := create(t, dir)
	if err := r.Append(record("a", "1")); err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(dir, "note.txt")
	if err := os.WriteFile(note, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.Close()

	r = create(t, dir)
	defer r.Close()
	if _, ok := r.Finished("a", "1"); ok {
		t.Error("a new run has an earlier run's cell")
	}
	if raw, err := os.ReadFile(filepath.Join(dir, cellsFile)); err != nil || string(raw) != string(cellsHeader.Line()) {
		t.Errorf("cells.jsonl = %q, %v", raw, err)
	}
	if _, err := os.Stat(note); err != nil {
		t.Errorf("a file that is not the run's is gone: %v", err)
	}

	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(foreign, Info{}); !errors.Is(err, ErrForeign) {
		t.Errorf("Create in a foreign folder: %v", err)
	}
}

func TestLatest(t *testing.T) {
	root := t.TempDir()
	if _, err := Latest(root); !errors.Is(err, ErrNoRun) {
		t.Errorf("Latest of nothing: %v", err)
	}
	if _, err := Open(filepath.Join(root, "x")); !errors.Is(err, ErrNoRun) {
		t.Errorf("Open of nothing: %v", err)
	}
	for _, id := range []string{"one", "two"} {
		if err := MarkLatest(root, id); err != nil {
			t.Fatal(err)
		}
		if got, err := Latest(root); err != nil || got != id {
			t.Errorf("Latest = %q, %v, want %q", got, err, id)
		}
	}
}

func TestNewID(t *testing.T) {
	at := time.Date(2025, 10, 27, 10, 15, 0, 0, time.FixedZone("", 3600))
	id, err := NewID(at, strings.NewReader("\x3f\xa9"))
	if err != nil || id != "20251027-091500-3fa9" {
		t.Errorf("NewID = %q, %v", id, err)
	}
	if _, err := NewID(at, strings.NewReader("")); err == nil {
		t.Error("NewID without randomness gave no error")
	}
}
