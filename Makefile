# `make` alone lists the targets. Every target first installs missing packages and names them.

ARGS ?=
FUZZ_SECONDS ?= 300
AGENT_TARGET ?= $(shell uname -m)-unknown-linux-gnu
TARGET = $(abspath $(or $(CARGO_TARGET_DIR),target))
LOGS = $(TARGET)/test-logs
AGENT = $(TARGET)/$(AGENT_TARGET)/dist-small/b3scaleagent

.DEFAULT_GOAL := help
.PHONY: help demo agent test check proof bench fuzz

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## Play a lesson on a cluster of simulated nodes, then keep serving it. ARGS="--once" ends after the lesson.
	@tests/install rust postgresql
	cargo run -- demo $(ARGS)

agent: ## Build b3scaleagent for the nodes: one file that needs nothing of the system it runs on.
	@tests/install rust
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --profile dist-small -p b3scale-programs --no-default-features --features agent --target $(AGENT_TARGET)
	@tests/alone $(AGENT)

test: ## Run all tests: units, documentation, real PostgreSQL, real sockets, real client libraries.
	@tests/install rust postgresql redis python node ruby
	rm -rf $(LOGS) && mkdir -p $(LOGS)
	B3SCALE_TEST_LOGS=$(LOGS) cargo test --workspace
	tests/secrets $(LOGS)
	tests/clients/run.sh

check: ## Check format, lints, documentation and dependencies.
	@tests/install rust cargo-deny
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --features otel --test otel --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
	@tests/deny

proof: export B3SCALED = $(TARGET)/release/b3scaled
proof: agent ## Run what takes more machinery: the agent for nodes, fuzzing, the lesson from the release build, schemathesis, Prometheus, HAProxy, nginx, Chromium, S3, systemd, traces.
	@tests/install rust postgresql redis prometheus haproxy nginx chromium systemd python node go fuzz
	fuzz/run 20
	cargo run --release -- demo --once
	tests/openapi/run.py
	tests/observability/run.py
	tests/balancers/run.py
	tests/playback/run.py
	tests/storage/run
	tests/systemd/run
	cargo test --features otel --test otel

bench: ## Measure, and print the tables.
	@tests/install rust postgresql redis
	cargo bench --profile dist --bench '*'

fuzz: ## Fuzz every parser for FUZZ_SECONDS (300) each.
	@tests/install rust fuzz
	fuzz/run $(FUZZ_SECONDS)
