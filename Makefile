# The README's commands. Everything runs in ./.venv, which `make env` builds from a bare Python >= 3.11.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8000
FUZZ_SECONDS ?= 60

.PHONY: env demo test test-versions check format bench bench-tokens fuzz clean

env: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'guestpass needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[demo,cli,sql,postgresql,redis,fastapi,flask]' --group dev
	@touch $@

demo: env
	@$(BIN)/python -m guestpass demo --port $(PORT)

test: env
	$(BIN)/python -m pytest -n auto

# The tests on every other Python >= 3.11 at hand, each in an environment of its own.
test-versions:
	@for version in 3.12 3.13 3.14; do \
	  for python in "$$(command -v python$$version)" $$(ls -d "$$(pyenv root 2>/dev/null)"/versions/$$version.*/bin/python3 2>/dev/null); do \
	    if [ -n "$$python" ] && "$$python" -c '' 2>/dev/null; then \
	      echo "== Python $$version"; $(MAKE) --no-print-directory test PYTHON="$$python" VENV=.venv-$$version || exit 1; break; \
	    fi; \
	  done; \
	done

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m benchmarks.cost

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What guestpass costs, beside other libraries: see benchmarks/README.md. PART=warm for one part, QUICK=1 for a tenth.
bench:
	@QUICK=$(QUICK) $(PYTHON) -m benchmarks $(PART)

bench-tokens:
	@$(MAKE) --no-print-directory bench PART=tokens

# Hostile tokens, key sets and JSON; FUZZ_SECONDS=600 for longer.
fuzz: .venv-fuzz/.ready
	.venv-fuzz/bin/python fuzz/fuzz_tokens.py -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=2048 \
	  -max_len=16384 -verbosity=0 -artifact_prefix=.venv-fuzz/ .venv-fuzz/corpus fuzz/seeds

.venv-fuzz/.ready: fuzz/requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --requirement fuzz/requirements.txt --editable .
	@mkdir -p .venv-fuzz/corpus && touch $@

clean:
	rm -rf $(VENV) .venv-* .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
