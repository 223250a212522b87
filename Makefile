# What a developer and CI run, by one name each. `make` alone builds.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Unit tests are of every package but these, which need servers.
INTEGRATION := ./integration/...
TIMED := ./integration/quorum ./integration/vip ./integration/chaos
# What is long; make chaos has it.
LONG := TestTwoHostsAndSignsAlone
# What depends on the servers' version.
VERSIONED := ./integration ./integration/parity ./integration/pgcluster ./cluster
# The part of it that takes few minutes.
OF_VERSIONS := ^(TestScripts|TestScriptsShared|TestPgx|TestDriversOfOtherLanguagesShared|TestColumnsChangeShared|TestSignalsShared|TestDeepPipelinesShared)$$
# And the part for a look: half a minute.
BRIEF_OF_VERSIONS := ^(TestPgx|TestSignalsShared|TestDeepPipelinesShared)$$
# What needs the servers' own programs and extensions, which these servers come without; and what reads statistics of
# servers with shifted clocks, by which those before 15 are confused themselves.
NOT_FOR_VERSIONS := ^(TestBaseBackup|TestReceiveLog|TestPgpoolAdm$(if $(filter 13,$(PG)),|TestClocksOfServers))$$
UNIT = $(shell go list ./... | grep -v /integration)

FUZZ_TIME ?= 20s
EVENTS ?= 100

.PHONY: build deb check test unit schedules simulation integration versions versions-brief chaos parity corpus demo bench bench-failover bench-watchdog fuzz deps clean

build: ## bin/howdah
	go build -o bin/howdah ./cmd/howdah

# A Debian version begins with a digit.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//; s/-/+/g' | grep . || echo 0~git$$(git log -1 --format=%cd.%h --date=format:%Y%m%d))
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0

deb: ## dist/howdah_VERSION_ARCH.deb
	go build -ldflags "-X main.version=$(VERSION)" -o bin/howdah ./cmd/howdah
	for shell in bash zsh fish; do bin/howdah completion $$shell > bin/howdah.$$shell || exit 1; done
	mkdir -p dist
	VERSION='$(VERSION)' ARCH=$$(go env GOARCH) go run $(NFPM) package -f packaging/nfpm.yaml -p deb -t dist

check: ## format, vet, staticcheck, and unit tests with the race detector
	@unformatted=$$(gofmt -l $$(go list -f '{{.Dir}}' ./...)); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	$(MAKE) unit

unit: ## unit tests
	go test -race -timeout 5m $(UNIT)

test: ## install what is needed, then every test
	scripts/deps.sh test
	$(MAKE) unit schedules integration

schedules: ## the failover machine and the watchdog in 10,000 random schedules of faults each; six minutes of a processor
	go test -count=1 -timeout 10m -run 'TestSimulation$$' ./cluster -args -schedules 10000
	HOWDAH_SCHEDULES=10000 go test -count=1 -timeout 20m -run 'TestSimulation$$' ./watchdog/core

simulation: ## the watchdog's faults in 10,000 schedules, and whether a broken rule is found
	HOWDAH_SCHEDULES=10000 go test -count=1 -timeout 20m -run TestSimulation ./watchdog/core
	go test -count=1 -timeout 20m ./integration/mutants

integration: ## the built binary against real servers and drivers; PG=13 or PG=18: against servers of that version
ifdef PG
	bin=$$(scripts/server.sh $(PG)) && HOWDAH_PG_BIN=$$bin go test -count=1 -timeout 25m -skip '$(NOT_FOR_VERSIONS)' $(VERSIONED)
else
	# What they test is a binary, of which the cache of results knows nothing. What depends on time goes alone.
	go test -count=1 -timeout 25m -p 1 -skip '$(LONG)' $(TIMED)
	go test -count=1 -timeout 25m $$(go list $(INTEGRATION) | grep -vxF "$$(go list $(TIMED))")
endif

versions: ## the scripts and the drivers with the oldest and the newest server
	scripts/deps.sh test
	for version in 13 18; do \
		bin=$$(scripts/server.sh $$version) && HOWDAH_PG_BIN=$$bin go test -count=1 -timeout 20m -run '$(OF_VERSIONS)' ./integration ./integration/parity || exit 1; \
	done

versions-brief: ## a few of these tests
	for version in 13 18; do \
		bin=$$(scripts/server.sh $$version) && HOWDAH_PG_BIN=$$bin go test -count=1 -timeout 5m -run '$(BRIEF_OF_VERSIONS)' ./integration || exit 1; \
	done

CHAOS_TIME ?= 10m
chaos: ## the matrix of failures on real servers, three times over, and random faults for CHAOS_TIME
	go test -timeout 60m -count=3 -parallel 2 ./integration/chaos
	HOWDAH_CHAOS=$(CHAOS_TIME) go test -timeout 120m -count=1 -run TestRandomFaults ./integration/chaos
	HOWDAH_CHAOS=1 go test -count=1 -timeout 2h ./integration/quorum ./integration/vip
	HOWDAH_SCHEDULES=100000 go test -count=1 -timeout 4h -run TestSimulation ./watchdog/core
	HOWDAH_SCHEDULES=5000 go test -count=1 -timeout 1h -run TestRaftOnVirtualTime ./watchdog

parity: build ## the same scripts direct and through howdah, PostgreSQL's own suites too
	scripts/deps.sh suite
	go test -timeout 10m -count=1 ./integration/parity
	go run ./integration/suite -howdah bin/howdah
	go run ./integration/suite -howdah bin/howdah -fast

corpus: build ## hold the verdicts against what a primary and a standby answer
	go run ./integration/corpus -howdah bin/howdah

demo: ## a primary, two standbys and howdah on port 9999
	scripts/deps.sh
	$(MAKE) build
# Not by go run, which fails when Ctrl-C ends what it runs.
	go build -o bin/demo ./integration/demo
	bin/demo

bench: ## compare with the other proxies; see docs for the last table
	scripts/deps.sh bench
	$(MAKE) build
	go run ./integration/bench

KILLS ?= 50
PROXIES ?= howdah,howdah-fast,pgpool:10
FAILOVER_TABLE ?= $(CURDIR)/bin/bench-failover.md
bench-failover: ## how long writers pause when the primary is killed, KILLS times, beside Pgpool-II; a page to FAILOVER_TABLE
	scripts/deps.sh bench
	$(MAKE) build
	go run ./integration/failoverbench -kills $(KILLS) -proxies '$(PROXIES)' -markdown '$(FAILOVER_TABLE)'

TABLE ?= $(CURDIR)/bin/bench-watchdog.md
# What to measure: a part of Takeover/(lan|fast)/(kill|frozen|cut|handover), Writes/(lan|fast)/primary, and ByKeepalived and ByPgpool with
# (keepalived|pgpool)/(kill|frozen|cut). An event takes 2 s, one of Writes 7 s, one of ByKeepalived 8 s, one of ByPgpool up to 60 s. Lines that TABLE has of
# other events stay, so that they can be measured one after the other; remove it to begin anew.
ONLY ?= Takeover|Writes
bench-watchdog: ## how fast the address, and writes, go on after faults: EVENTS of each, ONLY some of them; a table to TABLE
	scripts/deps.sh bench
	mkdir -p bin
	HOWDAH_RACE=0 go test -run '^$$' -bench '$(ONLY)' -benchtime $(EVENTS)x -timeout 8h ./integration/quorum -args -markdown $(TABLE)

fuzz: ## every fuzz target for FUZZ_TIME
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZ_TIME) $$package; \
		done; \
	done

deps: ## what the tests need
	scripts/deps.sh test

clean:
	rm -rf bin dist
