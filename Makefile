# Every target does its own set-up in .venv: uv if it is installed, else venv and pip. Needs Python >= 3.11, git, make.

VENV  := .venv
PY    := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DEMO  ?= demo
ARGS  ?=

export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo test oldest lint types format docs doctest bench lock audit clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## install hybridflux and its pinned dependencies into .venv

$(STAMP): pyproject.toml requirements-dev.lock
	@set -eu; \
	good='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
	python=; \
	for candidate in $(PY) $(PYTHON) python3.13 python3.12 python3.11 python3; do \
		if "$$candidate" -c "$$good" 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "hybridflux needs Python >= 3.11 with its venv module (on Debian: apt install python3-venv)." >&2; \
		echo "None of python3.13, python3.12, python3.11, python3 is one; name yours with: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	echo "hybridflux: installing into $(VENV) with $$("$$python" -V)"; \
	[ -x $(PY) ] || "$$python" -m venv $(VENV); \
	{ command -v uv >/dev/null \
		&& uv pip install --quiet --python $(PY) -r requirements-dev.lock \
		&& uv pip install --quiet --python $(PY) --no-deps -e .; } \
	|| { $(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock \
		&& $(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .; }; \
	touch $(STAMP)

demo: $(STAMP)  ## fit synthetic towers, map their region at 10 m, compare the budget with the truth: demo/report.html (offline, minutes)
	$(VENV)/bin/hybridflux demo --out $(DEMO) $(ARGS)

test: $(STAMP)  ## all tests that need no accelerator; ARGS="-k water" or ARGS="-m slow" are passed to pytest
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

oldest:  ## the quick tests with the oldest Python that is supported, in an environment of its own (the newest: make VENV=... PYTHON=...)
	$(MAKE) test VENV=.cache/venv-oldest PYTHON=python3.11 ARGS="-m quick $(ARGS)"

lint: $(STAMP)  ## style and unused code
	$(PY) -m ruff check .

types: $(STAMP)  ## annotations of the floors 0 to 3 (pyproject.toml, tool.mypy)
	$(PY) -m mypy

format: $(STAMP)  ## mend what ruff can mend
	$(PY) -m ruff check --fix .

docs: $(STAMP)  ## build the documentation site offline, its tutorials run: site/index.html (minutes; a warning is an error)
	$(PY) -m docs.site

doctest: $(STAMP)  ## check that the examples in the docstrings are true
	$(PY) -m pytest -n 2 hybridflux $(ARGS)

bench: $(STAMP)  ## time and memory beside other programs; what is not installed is left out with a line
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) "$$file" $(ARGS) || exit 1; done

LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-emit-index-url --custom-compile-command "make lock" --quiet

lock:  ## resolve both locks again for Python 3.11 to 3.13: requirements.lock for users, requirements-dev.lock for tests (needs uv)
	$(LOCK) --extra ingest --output-file requirements.lock
	$(LOCK) --extra dev --output-file requirements-dev.lock

audit: $(STAMP)  ## known vulnerabilities of the pinned packages, asked of the package index where it has them
	@$(PY) -m venv .cache/audit && .cache/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@for lock in requirements.lock requirements-dev.lock; do \
		echo "== $$lock"; .cache/audit/bin/pip-audit -r $$lock --disable-pip --require-hashes --progress-spinner off || exit 1; done

clean:  ## remove caches, demo output and the environment
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis build dist demo site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
