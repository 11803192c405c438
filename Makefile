# The one entry. `make` alone lists the verbs; anything longer than a line or two lives in scripts/ or crates/xtask.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# A verb's steps are in an order.
.NOTPARALLEL:

# On CI (which sets CI=true) nextest repeats every failure at the end.
NEXTEST := cargo nextest run --profile $(if $(CI),ci,default)
COMPOSE := docker compose --file deploy/compose/compose.yaml
FLEXCORE := cargo run --quiet --manifest-path $(CURDIR)/Cargo.toml --package flexcore --

##@ Use

.PHONY: help
help: ## list the verbs
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-20s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## build what is missing and run the example pipeline
	@scripts/demo.sh

.PHONY: build
build: ## build the binary, target/release/flexcore
	cargo build --release --package flexcore

.PHONY: run
run: ## build and run the binary: make run ARGS="run FILE"
	cargo run --release --package flexcore -- $(ARGS)

.PHONY: dev
dev: ## serve a project with a build for development: make dev [PROJECT=examples/flights]
	cd $(or $(PROJECT),examples/flights) && cargo run --manifest-path $(CURDIR)/Cargo.toml --package flexcore -- serve --verbose

##@ Look

.PHONY: diagnose
diagnose: ## show what a project stands on, part by part: make diagnose [PROJECT=folder]
	@scripts/diagnose.sh $(PROJECT)

.PHONY: event-store-status
event-store-status: ## show the store of a project: make event-store-status [PROJECT=folder]
	@cd $(or $(PROJECT),.) && $(FLEXCORE) store status && $(FLEXCORE) events stats

.PHONY: db-connect
db-connect: ## open psql on the database of FLEXCORE_DATABASE_URL
	@psql "$${FLEXCORE_DATABASE_URL:?set FLEXCORE_DATABASE_URL=postgres://USER@HOST/DATABASE}"

.PHONY: profile-cpu
profile-cpu: ## where the time of a run goes (perf): make profile-cpu ARGS="run FILE"
	@scripts/profile.sh cpu $(ARGS)

.PHONY: profile-memory
profile-memory: ## where the memory of a run goes (heaptrack): make profile-memory ARGS="run FILE"
	@scripts/profile.sh memory $(ARGS)

##@ Deploy

.PHONY: docker-build
docker-build: ## build the image flexcore:latest
	docker build --file deploy/docker/Dockerfile --tag flexcore:latest .

.PHONY: docker-up
docker-up: ## start two servers, PostgreSQL, HAProxy, Prometheus, Grafana and Jaeger
	@scripts/compose-secrets.sh
	$(COMPOSE) up --detach --build

.PHONY: docker-down
docker-down: ## end them; their data stays
	$(COMPOSE) down

.PHONY: docker-logs
docker-logs: ## follow their logs
	$(COMPOSE) logs --follow --tail 100

##@ Test

.PHONY: setup
setup: ## install what the tests need and this machine lacks
	@scripts/setup.sh

.PHONY: test
test: setup ## set up, then every check of the layout and every test
	cargo xtask check
	cargo test --quiet --workspace --doc
	$(NEXTEST) --workspace

.PHONY: test-unit
test-unit: setup ## the tests inside the crates
	$(NEXTEST) --workspace --lib --bins

.PHONY: test-integration
test-integration: setup ## the tests that run real processes and files
	$(NEXTEST) --workspace --test '*'

.PHONY: benchmark
benchmark: ## measure, each number beside its limit: make benchmark [ONLY=group]
	@scripts/setup.sh benchmark
	cargo build --release --package flexcore
	cargo run --release --package flexcore-benchmark -- $(ONLY)

.PHONY: coverage-html
coverage-html: setup ## run the tests with coverage, into target/llvm-cov/html
	scripts/coverage.sh

##@ Keep in order

.PHONY: check
check: ## compile everything, fast
	cargo check --workspace --all-targets

.PHONY: format
format: ## format the code
	cargo fmt --all

.PHONY: lint
lint: ## formatting, clippy, walls, layers, sizes
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo xtask check
	@if cargo deny --version >/dev/null 2>&1; then \
	  cargo deny --log-level error check bans licenses sources; \
	else \
	  echo "cargo-deny is not installed: third-party licences and sources were not checked (make security does)"; \
	fi

.PHONY: security
security: ## audit the dependencies: bans, licences, sources, advisories
	scripts/security.sh

.PHONY: validate
validate: lint test ## everything that must hold before a merge: lint, tests, generated files, documentation
	cargo xtask check-schemas
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet
