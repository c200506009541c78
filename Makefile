# Everything that a checkout of Eider is asked to do. `make` alone lists it.
#
# Needed on the machine: Go, gcc (the aggregator links DuckDB), Node 20.19 or
# later with npm. Everything else is installed by the targets themselves.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

FUZZTIME ?= 10s
# make crash: the faults of each kind, and the seed of everything random (0 draws one).
RUNS     ?= 50
SEED     ?= 0
BENCH    ?= .
COUNT    ?= 1
# make run: options of the demo, for example ARGS="--site 127.0.0.1:9090".
ARGS     ?=
# make test BROWSER=no leaves out the tests that need a browser.
BROWSER  ?= yes

GOFUMPT     := go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

DASHBOARD_SOURCES := $(shell find dashboard -type f -not -path '*/node_modules/*' -not -path 'dashboard/dist/*' -not -name '*_test.go')

.PHONY: help build run test race lint fuzz crash bench bots caddy dashboard golden screenshots clean need browser test-go test-dashboard test-browser

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- build ----------------------------------------------------------------

build: caddy bin/eider bin/eider-collector ## build bin/caddy, bin/eider with the dashboard in it, and bin/eider-collector

caddy: need ## build bin/caddy from the versions in xcaddy.json
	@go run ./tools/caddybuild -o bin/caddy

# Go's own cache decides what is out of date, so these always run.
.PHONY: bin/eider bin/eider-collector
bin/eider: need dashboard
	go build -o bin/eider ./cmd/eider

bin/eider-collector: need
	CGO_ENABLED=0 go build -o bin/eider-collector ./cmd/eider-collector

dashboard: dashboard/dist/index.html ## build the dashboard into dashboard/dist

dashboard/dist/index.html: dashboard/node_modules/.installed $(DASHBOARD_SOURCES)
	cd dashboard && npm run --silent build
	@touch dashboard/dist/.gitkeep $@

dashboard/node_modules/.installed: dashboard/package.json dashboard/package-lock.json | need
	cd dashboard && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

run: build ## build everything, start it before a demo site with a little traffic, print both URLs
	@go build -o bin/eider-demo ./examples/demo
	@exec bin/eider-demo $(ARGS)

# ---- tests ----------------------------------------------------------------

test: test-go test-dashboard test-browser ## run every test: Go, dashboard, browser

test-go: dashboard
	EIDER_REQUIRE_DASHBOARD=1 go test -timeout 20m ./...

test-dashboard: dashboard/node_modules/.installed
	cd dashboard && npm run --silent test

test-browser: dashboard browser shared/beacon/clients/node_modules/.installed
ifeq ($(BROWSER),yes)
	cd dashboard && npm run --silent test:browser
	EIDER_CLIENTS=$(CURDIR)/$(CLIENTS) go test -count=1 -run TestTrackers ./caddymodule
	EIDER_CLIENTS=$(CURDIR)/$(CLIENTS) go test -count=1 -run TestUmamiClient ./aggregator/api
endif

# The trackers and clients of others that Eider is tested against.
CLIENTS := shared/beacon/clients
$(CLIENTS)/node_modules/.installed: $(CLIENTS)/package.json $(CLIENTS)/package-lock.json $(CLIENTS)/tracker.mjs | need
	cd $(CLIENTS) && npm ci --no-audit --no-fund --loglevel=error && node tracker.mjs
	@touch $@

race: dashboard ## run the Go tests under the race detector
	EIDER_REQUIRE_DASHBOARD=1 go test -race -short -timeout 30m ./...

fuzz: ## run each fuzz target for FUZZTIME (10s)
	@bash tools/fuzz.sh $(FUZZTIME)

crash: dashboard ## kill both sides at every step and count what is left (RUNS, SEED)
	go test -tags failpoint -count=1 -timeout 60m -parallel 4 ./bench/crash -args -crash.runs $(RUNS) -crash.seed $(SEED)

bench: build ## run the Go benchmarks (BENCH, COUNT), the CPU-per-request, the beacon and the ingest harness
	@mkdir -p bench/results
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 30m ./... | tee bench/results/go-$(VERSION).txt
	go run ./bench/cpu -memory 128MiB -rounds 40 | tee bench/results/cpu-$(VERSION).txt
	go run ./bench/beacon -eider bin/eider | tee bench/results/beacon-$(VERSION).txt
	go run ./bench/ingest -eider bin/eider | tee bench/results/ingest-$(VERSION).txt

# Where bench-lakes puts its data directories; each is made once and kept.
LAKES ?= /tmp/eider-lakes
LAKE_NAMES := 1m-beacons 5m 10m 10m-month
lake-1m-beacons := --events 1M --profile beacons
lake-5m         := --events 5M
lake-10m        := --events 10M
lake-10m-month  := --events 10M --identity month
lake-100m       := --events 100M
.PHONY: bench-lakes bench-lake-huge
bench-lakes: $(LAKE_NAMES:%=$(LAKES)/%.json) ## generate the data directories that answers are measured on, in LAKES
bench-lake-huge: $(LAKES)/100m.json ## generate a year of a hundred million events, in LAKES

# What is expected is written last, so it says that the directory is whole.
$(LAKES)/%.json: | bin/eider
	rm -rf $(LAKES)/$*
	bin/eider bench generate --data $(LAKES)/$* $(lake-$*) --expect $@

bots: caddy browser ## drive labelled traffic through bin/caddy and bin/eider, print who was taken for whom
	go build -o bin/eider ./cmd/eider
	go run ./bench/bots -caddy bin/caddy -eider bin/eider

golden: ## write the golden files anew (look at the difference before you commit it)
	@git grep --untracked -lE 'flag\.Bool\("update"' -- '*_test.go' | xargs -rn1 dirname | sort -u | while read -r dir; do \
	  echo "== $$dir"; go test -count=1 "./$$dir" -update; \
	done

screenshots: dashboard browser ## take the README's screenshots of the dashboard
	cd dashboard && npm run --silent screenshots

lint: dashboard/node_modules/.installed ## go vet, gofumpt, staticcheck, import rules, tsc
	go vet ./...
	go vet -tags failpoint ./...
	@bad=$$($(GOFUMPT) -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not formatted (go run mvdan.cc/gofumpt@v0.12.0 -w):"; echo "$$bad"; exit 1; fi
	@# Both builds together: what only crash tests use is used.
	printf 'plain:\nfailpoint: -tags=failpoint\n' | $(STATICCHECK) -matrix ./...
	go test ./internal/layout
	cd dashboard && npm run --silent typecheck

clean: ## remove what was built (the demo's data stays in data/)
	rm -rf bin dashboard/node_modules/.vite
	find dashboard/dist -mindepth 1 -not -name .gitkeep -delete

# ---- what the machine must have --------------------------------------------

need:
	@bash tools/need.sh go gcc node npm

browser: | need
ifeq ($(BROWSER),yes)
	@bash tools/need.sh chromium
else
	@echo "WARNING: BROWSER=$(BROWSER): the tests that need a browser are left out"
endif
