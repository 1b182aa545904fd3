package runstore

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

func keep(t *testing.T, root, id string, started time.Time) *Run {
	t.Helper()
	r, err := Create(filepath.Join(root, id), Info{ID: id, Started: started})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFindAndPrune(t *testing.T) {
	root := t.TempDir()
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, id := range []string{"20260101-aa", "20260102-bb", "20260102-cc"} {
		r := keep(t, root, id, day.AddDate(0, 0, i))
		if err := r.WriteResult(verdict.RunResult{ID: id}); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := MarkLatest(root, id); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"latest": "20260102-cc", "20260101": "20260101-aa", "20260102-b": "20260102-bb",
		filepath.Join(root, "20260101-aa"): "20260101-aa",
	} {
		dir, err := Find(root, name)
		if err != nil || filepath.Base(dir) != want {
			t.Errorf("Find(%s) = %s, %v, want %s", name, dir, err, want)
		}
	}
	if _, err := Find(root, "20260102"); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("an ambiguous prefix gives %v", err)
	}
	if _, err := Find(root, "2027"); !errors.Is(err, ErrNoRun) {
		t.Errorf("an unknown name gives %v", err)
	}

	// The run that is being written stays.
	busy, err := Open(filepath.Join(root, "20260101-aa"))
	if err != nil {
		t.Fatal(err)
	}
	gone, err := Prune(root, day.AddDate(1, 0, 0), 1)
	if err != nil || len(gone) != 1 || gone[0].Info.ID != "20260102-bb" {
		t.Errorf("Prune removed %v, %v", gone, err)
	}
	if err := busy.Close(); err != nil {
		t.Fatal(err)
	}
	if gone, err = Prune(root, day.AddDate(1, 0, 0), 0); err != nil || len(gone) != 2 {
		t.Errorf("Prune removed %v, %v", gone, err)
	}
	if _, err := Latest(root); !errors.Is(err, ErrNoRun) {
		t.Errorf("the latest run is still known: %v", err)
	}
	if all, err := List(root); err != nil || len(all) != 0 {
		t.Errorf("List = %v, %v", all, err)
	}
}

func TestCellIsKeptWithoutSecrets(t *testing.T) {
	root := t.TempDir()
	r := keep(t, root, "r", time.Now())
	defer r.Close()
	c := scenario.Cell{Scenario: "s", Values: map[string]string{"a": "b", "tekton": "1.3.1"}, Axes: []string{"a"},
		Objects: []json.RawMessage{json.RawMessage(`{"kind":"Secret","stringData":{"token":"hush"}}`), json.RawMessage(`{"kind":"Pod"}`)}}
	if err := r.WriteCell(c); err != nil {
		t.Fatal(err)
	}
	got, err := ReadCell(r.Dir(), CellID(verdict.Cell{Scenario: "s", Values: c.Values, Axes: c.Axes}))
	if err != nil || got.Scenario != "s" || len(got.Objects) != 2 {
		t.Fatalf("ReadCell = %+v, %v", got, err)
	}
	raw, err := os.ReadFile(filepath.Join(r.Dir(), "cells", c.ID(), "cell.json"))
	if err != nil || strings.Contains(string(raw), "hush") || !strings.Contains(string(raw), "token") {
		t.Errorf("cell.json holds %s, %v", raw, err)
	}
	if !strings.Contains(string(c.Objects[0]), "hush") {
		t.Error("the cell itself was changed")
	}
	if _, err := ReadCell(r.Dir(), "other"); !errors.Is(err, ErrNotKept) {
		t.Errorf("a cell that is not there gives %v", err)
	}
	if _, err := ReadHistory(r.Dir(), c.ID()); !errors.Is(err, ErrNotKept) {
		t.Errorf("a history that is not there gives %v", err)
	}
	if _, err := ReadResult(r.Dir()); !errors.Is(err, ErrNoResult) {
		t.Errorf("a result that is not there gives %v", err)
	}
}
