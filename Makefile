# Run `make help` for what there is. Targets that need root say so; `make test` runs all kinds of tests.

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
RUNTESTS    := $(GO) run ./internal/lab/runtests
FUZZTIME    ?= 5000x
RUN         ?=
PKG         ?=
V           ?=
COUNT       ?= 1
KEEP        ?=
CELLS       ?=
MINUTES     ?= 0.7
TROUBLES    ?= 0
SEED        ?= 0
ROUND       ?= 0
SCHEDULE    ?=
EVENTS      ?= 2
FAULTS      ?= 1
ONLY        ?=
EXCEPT      ?=

testflags := $(if $(V),-v) $(if $(RUN),-run '$(RUN)') $(if $(PKG),-packages '$(PKG)') -fuzztime $(FUZZTIME) -count $(COUNT)

.PHONY: help
help: ## list all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Variables: RUN=regexp and PKG=./path/... (only these tests), V=1 (all output), COUNT=5 (host, kernel and pair tests), FUZZTIME=5000x, KEEP=1 (leave the demo up)"

.PHONY: build
build: ## build bin/lvs-ha
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/lvs-ha ./cmd/lvs-ha

.PHONY: setup
setup: ## install what tests and demo need (root, Debian)
	scripts/setup

.PHONY: demo
demo: setup build ## bring up a pair of directors, fail it over, narrate it (root; KEEP=1 leaves it up)
	$(GO) build -o bin/demo ./e2e/demo
	KEEP=$(KEEP) bin/demo

.PHONY: test
test: setup lint ## everything: lint and all kinds of tests (root)
	$(RUNTESTS) $(testflags) unit proof fuzz host kernel pair

.PHONY: unit
unit: ## unit tests with -race: no root, no network
	$(RUNTESTS) $(testflags) unit

.PHONY: proof
proof: ## VRRP: random histories, all states of small networks, mutants (no root)
	$(RUNTESTS) $(testflags) proof

.PHONY: explore
explore: ## VRRP: all states with EVENTS=2 FAULTS=1 (no root)
	LVS_HA_TEST=proof LVS_HA_EVENTS=$(EVENTS) LVS_HA_FAULTS=$(FAULTS) $(GO) test ./vrrp -run '^TestProofExploration$$' -v -timeout 0

.PHONY: test-host
test-host: setup ## tests in network namespaces of this kernel (root)
	$(RUNTESTS) $(testflags) host

.PHONY: test-kernel
test-kernel: setup ## tests inside one test kernel with IPVS (root)
	$(RUNTESTS) $(testflags) kernel

.PHONY: test-pair
test-pair: setup ## tests with director machines (root)
	$(RUNTESTS) $(testflags) pair

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	$(RUNTESTS) $(testflags) fuzz

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, go mod tidy -diff
	@echo "== gofmt"; files=$$(gofmt -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "not formatted, run gofmt -w:"; echo "$$files"; exit 1; fi
	@echo "== go vet"; $(GO) vet ./...
	@echo "== staticcheck"; $(GO) run $(STATICCHECK) ./...
	@echo "== go mod tidy"; $(GO) mod tidy -diff

.PHONY: licenses
licenses: ## write THIRD_PARTY_LICENSES, the licenses of what the binary is linked from
	$(GO) test ./cmd/lvs-ha -run '^TestThirdPartyLicenses$$' -update

.PHONY: dist
dist: ## build what is released into bin/dist: tarball, Debian package, bill of materials, checksums
	GO='$(GO)' VERSION='$(VERSION)' packaging/dist

.PHONY: package
package: dist ## the Debian package, in bin/dist

.PHONY: bench
bench: setup ## benchmarks (root; MINUTES=10 of steadiness)
	LVS_HA_MINUTES=$(MINUTES) $(RUNTESTS) $(testflags) bench

.PHONY: soak
soak: setup build ## what short tests do not find, with figures: docs/testing.md (root; CELLS=, MINUTES=, TROUBLES=, SEED=)
	$(GO) build -o bin/soak ./e2e/soak
	bin/soak -cells '$(CELLS)' -minutes $(MINUTES) -troubles $(TROUBLES) -seed $(SEED) -round $(ROUND) \
		-schedule '$(SCHEDULE)' -only '$(ONLY)' -except '$(EXCEPT)'

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
	$(GO) clean -testcache
