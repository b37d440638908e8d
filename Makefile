# Tardigrade. `make help` lists the targets.

BUILD ?= build
BIN := $(or $(CARGO_TARGET_DIR),target)/release
CARGO ?= cargo
# Everything is built from Cargo.lock; the network is only needed the first time.
CARGO_FLAGS ?= --locked
# Incremental state would double what the tests' build takes on the disk.
export CARGO_INCREMENTAL ?= 0
SAMPLE := $(abspath $(BUILD))/minivmm
SAMPLE_RS := $(abspath $(BUILD))/minivmm-rs

.DEFAULT_GOAL := help
.PHONY: help setup build samples demo test unit e2e test-qemu test-fixes test-rust-fixes matrix bench bench-gen bench-stop lint fmt install clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Install the Debian packages that builds and tests need (as root; nothing if they are there)
	@./.ci/setup

build: setup ## Build patchgen and tardigrade into target/release
	$(CARGO) build $(CARGO_FLAGS) --release -p patchgen -p loader

samples: setup ## Build the two sample VMMs, in C and in Rust, in their versions
	$(MAKE) --no-print-directory -C samples/minivmm BUILD=$(SAMPLE)
	$(MAKE) --no-print-directory -C samples/minivmm-rs BUILD=$(SAMPLE_RS) CARGO=$(CARGO)

demo: build samples ## Patch both sample VMMs under their running guests, and take the patches back
	python3 samples/minivmm/demo.py $(BIN) $(SAMPLE) minivmm
	python3 samples/minivmm/demo.py $(BIN) $(SAMPLE_RS) minivmm-rs

test: unit e2e ## All fast tests

unit: build ## Unit and golden tests
	$(CARGO) test $(CARGO_FLAGS) -q -p patchfile -p patchgen --lib --bins
	INSTA_UPDATE=no $(CARGO) test $(CARGO_FLAGS) -q -p patchgen --test dwarf --test type_layouts

e2e: build samples ## Tests on live processes and guests
	$(CARGO) test $(CARGO_FLAGS) -q -p patchgen --test rust_layouts
	TARDIGRADE_BIN=$(abspath $(BIN)) MINIVMM=$(SAMPLE) MINIVMM_RS=$(SAMPLE_RS) INSTA_UPDATE=no \
		$(CARGO) test $(CARGO_FLAGS) -q -p loader -p tardigrade-tests

test-qemu: build ## Patch a real QEMU with real fixes (builds QEMU the first time, 10 to 15 minutes)
	PATCHGEN=$(abspath $(BIN))/patchgen TARDIGRADE=$(abspath $(BIN))/tardigrade samples/qemu/test-qemu.sh $(QEMU_ARGS)

test-fixes: build ## Patch running servers and libraries with fixes from Debian's history (builds them the first time, 15 minutes)
	PATCHGEN=$(abspath $(BIN))/patchgen TARDIGRADE=$(abspath $(BIN))/tardigrade samples/fixes/test-fixes.sh $(FIXES_ARGS)

test-rust-fixes: build ## Patch running Rust programs with fixes of later releases (builds them the first time, one to two hours)
	PATCHGEN=$(abspath $(BIN))/patchgen TARDIGRADE=$(abspath $(BIN))/tardigrade samples/rust-fixes/test-rust-fixes.sh $(RUST_FIXES_ARGS)

matrix: build ## Behaviour cases with gcc and clang in all configurations (needs clang; MATRIX="clang -O2" runs a part)
	TARDIGRADE_BIN=$(abspath $(BIN)) $(CARGO) run $(CARGO_FLAGS) -q -p tardigrade-tests --example matrix -- $(if $(MATRIX),"$(MATRIX)")

bench: bench-stop bench-gen ## All benchmarks

bench-stop: build ## Pause of apply and revert beside a bare stop of all threads
	$(CARGO) bench $(CARGO_FLAGS) -p loader --bench stop

bench-gen: build ## Time of patchgen beside objdump (PAIR="OLD NEW"; default: the QEMU pair of test-qemu)
	samples/qemu/bench-gen.py $(BIN)/patchgen $(PAIR)

lint: setup ## Formatting and lints
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy $(CARGO_FLAGS) --workspace --all-targets -q -- -D warnings
	cd samples/minivmm-rs && $(CARGO) fmt -- --check
	cd samples/minivmm-rs && $(CARGO) clippy $(CARGO_FLAGS) --target-dir $(SAMPLE_RS)/target --all-targets -q -- -D warnings

fmt: ## Format the sources
	$(CARGO) fmt --all
	cd samples/minivmm-rs && $(CARGO) fmt

PREFIX ?= /usr/local
install: build ## Install both programs (DESTDIR, PREFIX)
	install -D -m 755 $(BIN)/patchgen $(DESTDIR)$(PREFIX)/bin/patchgen
	install -D -m 755 $(BIN)/tardigrade $(DESTDIR)$(PREFIX)/sbin/tardigrade

clean: ## Remove everything that was built
	rm -rf $(BUILD) target
