# What there is to do here. `make` alone lists it. Every target first installs what it lacks and says so.

ARGS ?=
FUZZ_SECONDS ?= 300
AGENT_TARGET ?= $(shell uname -m)-unknown-linux-gnu
AGENT = $(or $(CARGO_TARGET_DIR),target)/$(AGENT_TARGET)/release/b3scaleagent

.DEFAULT_GOAL := help
.PHONY: help demo agent test check proof bench fuzz

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## Play a lesson on a cluster of simulated nodes, then keep serving it. ARGS="--once" ends after the lesson.
	@tests/install rust postgresql
	cargo run --release -- demo $(ARGS)

agent: ## Build b3scaleagent for the nodes: one file that needs nothing of the system it runs on.
	@tests/install rust
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --bin b3scaleagent --target $(AGENT_TARGET)
	@tests/alone $(AGENT)

test: ## Run all tests: units, documentation, real PostgreSQL, real sockets, real client libraries.
	@tests/install rust postgresql redis python node
	cargo test --workspace
	tests/clients/run.sh

check: ## Check format, lints, documentation and dependencies.
	@tests/install rust cargo-deny
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
	@tests/deny

proof: agent ## Run what takes more machinery: the agent for nodes, a short fuzz run of every parser, the lesson from the release build, schemathesis.
	@tests/install rust postgresql python fuzz
	fuzz/run 20
	cargo run --release -- demo --once
	B3SCALED=$(abspath $(or $(CARGO_TARGET_DIR),target))/release/b3scaled tests/openapi/run.py

bench: ## Measure, and print the tables.
	@tests/install rust postgresql redis
	cargo bench --bench '*'

fuzz: ## Fuzz every parser for FUZZ_SECONDS (300) each.
	@tests/install rust fuzz
	fuzz/run $(FUZZ_SECONDS)
