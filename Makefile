# What the targets do: make help

SHELL       := bash
.SHELLFLAGS := -o pipefail -c

GO       ?= go
BIN      := bin
TOOLS    := $(BIN)/tools
SIMCTL   := $(BIN)/simctl

GOLANGCI_VERSION := v2.15.0
# The version is part of the name, so another version is another file.
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
GREMLINS_VERSION := v0.6.0
GREMLINS := $(TOOLS)/gremlins-$(GREMLINS_VERSION)

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# The API server tells its clients the version of the Kubernetes module.
KUBE     := $(shell sed -n 's|^.*k8s.io/kubernetes \(v[0-9.]*\).*|\1|p' go.mod)
KUBE_X   := -X k8s.io/component-base/version
MAJOR    := $(word 1,$(subst ., ,$(KUBE:v%=%)))
MINOR    := $(word 2,$(subst ., ,$(KUBE:v%=%)))
LDFLAGS  := -s -w -X main.version=$(VERSION) \
            $(KUBE_X).gitVersion=$(KUBE) $(KUBE_X).gitMajor=$(MAJOR) $(KUBE_X).gitMinor=$(MINOR) \
            $(KUBE_X).gitCommit=module $(KUBE_X).gitTreeState=archive

# Without plug-ins of Go, of which kustomize would run none here, the linker leaves out what
# is never called: 70 MB. Where nothing is linked with C, it does so anyway.
TAGS := kustomize_disable_go_plugin_support

# What to run and how: make run SCENARIOS=scenarios/incident.yaml ARGS='-o wide'
SCENARIOS ?= scenarios/
ARGS      ?=

# How long each fuzz target runs, and which: make fuzz FUZZTIME=10m FUZZ=FuzzJudge
FUZZTIME ?= 2m
FUZZ     ?= FuzzRead FuzzJudge FuzzLoad FuzzImport

.PHONY: help build dist image run example test test-fast chaos fuzz conformance conformance-test lint mutants bench generate fmt clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: $(SIMCTL) ## build bin/simctl

# Go knows what is out of date. The first build compiles all of Kubernetes, which
# takes minutes: `go build -v` names every package it compiles, and progress
# turns the names into a count now and then and lets other lines through.
.PHONY: $(SIMCTL)
$(SIMCTL):
	@$(GO) build -v -tags $(TAGS) -ldflags "$(LDFLAGS)" -o $@ ./cmd/simctl 2>&1 | awk '$(progress)'

progress = /^go: downloading / { if (++got % 25 == 1) print "building simctl: fetching modules (" got ")"; fflush(); next } \
  /^[^ :\#]+$$/ { if (++done % 100 == 1) print "building simctl: compiling (" done " packages so far)"; fflush(); next } \
  { print }

run: build ## build, then replay every scenario and print the matrix
	$(SIMCTL) run $(ARGS) $(SCENARIOS)

example: build ## make docs/examples anew from scenarios/incident.yaml
	rm -rf $(BIN)/example
	$(SIMCTL) run --out $(BIN)/example scenarios/incident.yaml
	$(GO) test ./reports/evidence -run TestExampleIsCurrent -update -from $(abspath $(BIN)/example)
	rm -rf $(BIN)/example

# What decides, what it is shown with and the commands, without what starts a process: no
# control plane, no Tekton, no browser. CONTRIBUTING.md says what is in which package.
FAST := ./cmd/simctl/internal/cli ./docs ./hack/... ./reports/... ./sim/clock ./sim/demand \
        ./sim/draft ./sim/history ./sim/impact ./sim/importer ./sim/internal/... ./sim/recording ./sim/releases \
        ./sim/review ./sim/runstore ./sim/scenario ./sim/stepper ./sim/timeline ./sim/verdict

test-fast: ## run the tests that need no control plane, in seconds once they are compiled
	$(GO) test -short $(FAST)

test: ## run all tests
	$(GO) test -timeout 60m ./...

# Faults of the catalogue on the ModelCar pipeline, each at moments that seeds draw and each
# twice; hours. make chaos CHAOS='-chaos-faults node-dead -chaos-seeds 2' plays less of it.
CHAOS ?= -chaos-faults all -chaos-seeds 30

chaos: ## play every fault with 30 seeds (CHAOS=... plays less): nightly
	$(GO) test ./sim -run '^TestChaos$$' -v -count 1 -timeout 24h $(CHAOS)

fuzz: $(FUZZ) ## look for input that breaks a reader (FUZZTIME=2m each)

# What is found is written to testdata/fuzz beside the target, to be mended and kept;
# make test tries it from then on.
FuzzRead:   IN := ./sim/history
FuzzJudge:  IN := ./sim/verdict
FuzzLoad:   IN := ./sim/scenario
FuzzImport: IN := ./sim/importer
.PHONY: FuzzRead FuzzJudge FuzzLoad FuzzImport
FuzzRead FuzzJudge FuzzLoad FuzzImport:
	$(GO) test -run '^$$' -fuzz '^$@$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $(IN)

# Recordings go to the cases' folders, and simctl is compared with them; RECORDINGS is
# another folder, for looking only. Where this machine cannot be a cluster, it is said
# what is missing, and that is all.
CASES       := sim/testdata/recordings
RECORDINGS  ?= $(CASES)
CASE        ?=
CONFORMANCE := $(BIN)/conformance

conformance: ## record a real cluster anew and compare (CASE=pod-deleted: one)
	@mkdir -p $(CONFORMANCE)
	$(GO) -C conformance build -o ../$(CONFORMANCE)/conformance .
	$(CONFORMANCE)/conformance -module conformance -bin $(CONFORMANCE) -cases $(CASES) -out $(RECORDINGS) $(if $(filter $(CASES),$(RECORDINGS)),-simctl .) $(CASE)

conformance-test: # check and test that module itself
	$(GO) -C conformance vet ./...
	$(GO) -C conformance test ./...

lint: $(GOLANGCI) ## check the code
	$(GOLANGCI) run ./...

fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt ./...

$(GOLANGCI):
	@echo building golangci-lint $(GOLANGCI_VERSION)
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

# A mutant is the code with one operator changed; a test has to fail for it. MUTATE is
# which files are changed (make mutants MUTATE='graph.go disk.go'), WORKERS how many
# mutants are tried side by side. A mutant takes some seconds, and all of them hours.
MUTATED  := sim/verdict
MUTATE   ?= $(notdir $(filter-out %_test.go,$(wildcard $(MUTATED)/*.go)))
SPARED    = $(filter-out $(MUTATE),$(notdir $(filter-out %_test.go,$(wildcard $(MUTATED)/*.go))))
WORKERS  ?= 1

mutants: $(GREMLINS) ## see which changes of the verdict's code the tests catch
	@mkdir -p $(BIN)
	GOFLAGS='-short -failfast -count=1 -vet=off -ldflags=-w "-gcflags=-N -l"' nice -n 19 $(GREMLINS) unleash --workers $(WORKERS) --timeout-coefficient 5 --invert-logical \
	  $(foreach f,$(SPARED),-E '(^|/)$(f)$$') --output $(BIN)/mutants.json ./$(MUTATED)

$(GREMLINS):
	@echo building gremlins $(GREMLINS_VERSION)
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) $(GO) install github.com/go-gremlins/gremlins/cmd/gremlins@$(GREMLINS_VERSION)
	mv $(TOOLS)/gremlins $@

# Which architectures are made: make dist ARCHES=amd64. Without C everything is compiled
# once more, which takes as long as the first build.
ARCHES ?= amd64,arm64

dist: ## make dist/: archives, SBOMs, checksums, with completions and man pages
	$(GO) run ./cmd/simctl/internal/dist -version '$(VERSION)' -epoch "$$(git log -1 --format=%ct)" -ldflags '$(LDFLAGS)' -arch '$(ARCHES)'

# Which builds the image has besides Tekton's built-in release and the SCC engine: make
# image RELEASES='1.3.1 osp-1.19'. Others have to be mounted, or built by a Go in the image.
RELEASES ?= 1.15.0

image: build ## make dist/simctl_VERSION_linux_ARCH_image.tar, for docker or podman load
	$(SIMCTL) pack $(RELEASES) --output $(BIN)/image-pack.tar.gz
	$(GO) run ./cmd/simctl/internal/dist -image -pack $(BIN)/image-pack.tar.gz -version '$(VERSION)' \
	  -epoch "$$(git log -1 --format=%ct)" -ldflags '$(LDFLAGS)' -arch "$$($(GO) env GOARCH)"

bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench . -benchtime 3x -timeout 60m ./...

generate: ## write the generated files (schema, pages printed from tables) anew
	$(GO) generate ./sim/scenario ./sim/stepper ./sim/timeline ./sim/verdict

clean: ## remove what the targets here have built
	rm -rf $(BIN)
