# make run     set up what is missing, then start bgcamd        make run ARGS="--camera demo:"
# make test    set up, fetch the models that the tests use, and test
# make check   ruff and mypy                                     make bench   how fast it is here (10 minutes)
# make soak    2,000,000 frames and all that can happen meanwhile (20 minutes): what is left of it
# make fuzz    whatever comes from outside, by libFuzzer; RUNS=1000000 for the socket, a fifth for all others
# make setup   only set up: .venv, bgcamd in it, the default model and the demo's picture
# make e2e     programs, then guest:
# make programs  with real programs on this machine: ffmpeg, a headless browser, a window on a screen of its own
# make guest   the whole on a real kernel: camera, loopback, systemd, browser, in a guest without a network
# make gpu-test, make gpu-bench   the GPU way on this machine's GPU; tests/gpu/run does it from a bare checkout
# make install, make uninstall   for all of this machine, as a service: as root; PREFIX=/opt/bgcamd
# make deb     the same as a Debian package, in dist/
# make lock    requirements-dev.lock anew: the newest of all that the tests need; make audit: is any of it known bad
# make clean   remove .venv and what was built (fetched models stay in ~/.cache/bgcamd)

ARGS ?=
RUNS ?= 1000000
BIN := .venv/bin
FETCHED := selfie
FETCHED_FOR_TESTS := $(FETCHED) rvm u2netp
PROGRAMS := chromium ffmpeg gstreamer1.0-plugins-base gstreamer1.0-tools imagemagick xdotool xvfb
LOCK := requirements-dev.lock
BENCHES := stages against_peer memory daemon mattes
GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo '[rtx]')
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: setup run test e2e programs guest check bench soak fuzz gpu-test gpu-bench install uninstall deb lock audit clean

setup: $(BIN)/.installed
	@$(BIN)/bgcam models fetch --demo $(FETCHED)

run: setup
	@exec $(BIN)/bgcamd $(ARGS)

test: $(BIN)/.developing
	@command -v g++ >/dev/null || ./.ci/install g++
	@$(BIN)/bgcam models fetch --demo $(FETCHED_FOR_TESTS)
	$(BIN)/pytest $(ARGS)

e2e: programs guest

programs: setup $(BIN)/.developing
	@dpkg --status $(PROGRAMS) >/dev/null 2>&1 || ./.ci/install $(PROGRAMS)
	$(BIN)/pytest tests/programs -v $(ARGS)

guest: setup $(BIN)/.developing
	@tests/e2e/rig
	$(BIN)/pytest tests/e2e -vv --timeout 600 $(ARGS)
	@tests/e2e/rig worked

check: $(BIN)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	@$(BIN)/bgcam bench $(ARGS)
	@for bench in $(BENCHES); do $(BIN)/python tests/bench/$$bench.py || exit; done

soak: $(BIN)/.installed
	@$(BIN)/python tests/bench/soak.py $(ARGS)

fuzz: $(BIN)/.fuzzing
	@$(BIN)/python tests/fuzz/run.py --runs $(RUNS) $(ARGS)

gpu-test: $(BIN)/.developing
	@$(BIN)/python tests/gpu/run probe test

gpu-bench: $(BIN)/.developing
	@$(BIN)/bgcam models fetch rvm
	@$(BIN)/python tests/gpu/run bench $(ARGS)

install:
	@packaging/install

uninstall:
	@packaging/install --remove

deb:
	@packaging/deb

# What `make test` installs, to the byte; `make run` and packages keep to the ranges in pyproject.toml.
lock:
	@$(PYTHON) -m venv .venv-tools && .venv-tools/bin/pip install --quiet --disable-pip-version-check --upgrade uv
	@.venv-tools/bin/uv pip compile --quiet --universal --python-version 3.11 --extra dev --upgrade --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --output-file $(LOCK) pyproject.toml
	@git --no-pager diff --stat -- $(LOCK)

# Where the advisories can't be had it fails and says "could not be audited": what was not looked up is not good.
audit:
	@$(PYTHON) -m venv .venv-tools && .venv-tools/bin/pip install --quiet --disable-pip-version-check pip-audit
	@.venv-tools/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --requirement $(LOCK)

clean:
	rm -rf .venv .venv-peer .venv-tools build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Done again when the dependencies may have changed; pip leaves what is there alone.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

$(BIN)/.installed: pyproject.toml | $(BIN)/pip
	@echo "Installing bgcamd and what it needs into .venv (once, a minute or two) …"
	@$(PIP_INSTALL) --editable '.$(GPU)'
	@touch $@

$(BIN)/.developing: pyproject.toml $(LOCK) | $(BIN)/pip
	@echo "Installing bgcamd and what its tests need into .venv (once, two minutes or three) …"
	@$(PIP_INSTALL) --require-hashes --requirement $(LOCK)
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ $(BIN)/.installed

# Not locked: atheris is not to be had for every Python.
$(BIN)/.fuzzing: $(BIN)/.developing
	@$(PIP_INSTALL) --no-build-isolation --editable '.[fuzz]'
	@touch $@

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "bgcamd needs Python 3.11 or newer: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || PYTHON=$(PYTHON) ./.ci/install venv
	$(PYTHON) -m venv .venv
