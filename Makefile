# Every target does its own set-up in .venv: uv if it is installed, else venv and pip. Needs Python >= 3.11, git, make.

VENV  := .venv
PY    := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DEMO  ?= demo
ARGS  ?=

export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo test lint format docs bench lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## install hybridflux and its pinned dependencies into .venv

$(STAMP): pyproject.toml requirements.lock
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
		&& uv pip install --quiet --python $(PY) -r requirements.lock \
		&& uv pip install --quiet --python $(PY) --no-deps -e .; } \
	|| { $(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock \
		&& $(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .; }; \
	touch $(STAMP)

demo: $(STAMP)  ## fit synthetic towers, map their region at 10 m, close the budget: demo/report.html (offline, minutes)
	$(VENV)/bin/hybridflux demo --out $(DEMO) $(ARGS)

test: $(STAMP)  ## all tests that need no accelerator; ARGS="-k water" or ARGS="-m slow" are passed to pytest
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(STAMP)  ## style and unused code
	$(PY) -m ruff check .

format: $(STAMP)  ## mend what ruff can mend
	$(PY) -m ruff check --fix .

docs: $(STAMP)  ## check that the examples in the docstrings are true
	$(PY) -m pytest -n 2 hybridflux $(ARGS)

bench: $(STAMP)  ## time and memory beside other programs; what is not installed is left out with a line
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) "$$file" $(ARGS) || exit 1; done

lock:  ## resolve requirements.lock again for Python 3.11 to 3.13 (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --upgrade \
		--no-emit-index-url --custom-compile-command "make lock" --quiet --output-file requirements.lock

clean:  ## remove caches, demo output and the environment
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis build dist demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
