package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOrders(t *testing.T) {
	c := &Cluster{Config: Config{State: t.TempDir()}}
	for _, words := range []string{"", "kill", "kill everything", "kill node", "unlimit disks now", "limit disks"} {
		if err := c.Do(strings.Fields(words)); err == nil || !strings.Contains(err.Error(), "there are:\n") {
			t.Errorf("%q: error %v, want one that lists the orders", words, err)
		}
	}
	for _, words := range []string{"kill controller", "kill node n1", "start kubelet n7"} {
		if err := c.Do(strings.Fields(words)); err == nil || !strings.Contains(err.Error(), words+": ") {
			t.Errorf("%q of a cluster that has none: error %v", words, err)
		}
	}
	if err := c.Do([]string{"limit", "disks", "2"}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(c.diskLimit()); err != nil || string(b) != "2\n" {
		t.Errorf("limit %q, %v", b, err)
	}
	for range 2 {
		if err := c.Do([]string{"unlimit", "disks"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(c.diskLimit()); err == nil {
		t.Error("there is still a limit")
	}
}

// Kubelets of hosts with more CPUs keep the others back.
func TestKubeletConfig(t *testing.T) {
	for cpus, want := range map[int]string{2: "", 8: `systemReserved: {cpu: "6"}`} {
		c := &Cluster{Config: Config{CPUs: cpus}}
		got := c.kubeletConfig(4, "/x/n4", "/resolv.conf")
		if want == "" && strings.Contains(got, "systemReserved") || !strings.Contains(got, want) {
			t.Errorf("%d CPUs:\n%s", cpus, got)
		}
		if !strings.Contains(got, "registerWithTaints: [{key: pool, value: loss, effect: NoSchedule}]") {
			t.Errorf("node n4 has no taint:\n%s", got)
		}
	}
}

func TestIdentities(t *testing.T) {
	dir := t.TempDir()
	tokens, pool, err := writeIdentities(dir, identities([]string{"n0"}))
	if err != nil {
		t.Fatal(err)
	}
	if pool == nil || tokens["n0"] == "" || tokens["n0"] == tokens[adminUser] {
		t.Errorf("tokens %v", tokens)
	}
	b, err := os.ReadFile(filepath.Join(dir, "tokens.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{tokens["n0"] + `,system:node:n0,n0,"system:nodes"` + "\n", tokens["kcm"] + ",system:kube-controller-manager,kcm\n",
		`,system:serviceaccount:tekton-pipelines:tekton-pipelines-webhook,webhook,"system:serviceaccounts,system:serviceaccounts:tekton-pipelines"` + "\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
}

func TestRemoveTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(dir, time.Second); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it is still there")
	}
	if err := removeTree(dir, time.Second); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestForgottenAreThoseOfTheDead(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	dead := name(cgroupPrefix + strconv.Itoa(cmd.Process.Pid))
	alive := name(cgroupPrefix + strconv.Itoa(os.Getpid()))
	for _, d := range []string{dead, alive, name("other")} {
		if err := os.MkdirAll(filepath.Join(d, "n0"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	removeForgotten([]string{dir})
	for d, want := range map[string]bool{dead: false, alive: true, name("other"): true} {
		if _, err := os.Stat(d); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", d, err == nil, want)
		}
	}
}
