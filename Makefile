# `make demo` and `make test` do all set-up by themselves, in .venv; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PYTEST_ARGS ?= -n auto --dist worksteal

# MLX's Linux CPU wheel links a reference BLAS, whose matmuls are 30 times slower than OpenBLAS's.
# Where Debian's or Ubuntu's libopenblas0-pthread is installed, it is loaded first; nothing depends on it.
OPENBLAS := $(firstword $(wildcard \
	/usr/lib/$(shell uname -m)-linux-gnu/openblas-pthread/libblas.so.3 \
	/usr/lib/$(shell uname -m)-linux-gnu/openblas-openmp/libblas.so.3))
RUN := $(if $(OPENBLAS),LD_PRELOAD=$(OPENBLAS)$(if $(LD_PRELOAD),:$(LD_PRELOAD)) )$(PY)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo schedules test bench lint format clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.examples ## train on handwritten digits, writes out/ (about a minute with set-up)
	@$(RUN) examples/digits.py $(DEMO_ARGS)

schedules: $(VENV)/.examples ## draw every learning-rate scheduler, writes out/schedules.png
	@$(RUN) examples/schedules.py

test: $(VENV)/.test ## run all tests, against torch 2.13.0 (PYTEST_ARGS="-k adam" picks some)
	$(RUN) -m pytest $(PYTEST_ARGS)

bench: $(VENV)/.test ## time and memory of a step beside its peers, writes out/bench/ (an hour or two; BENCH_ARGS=--quick)
	@$(RUN) benchmarks/optimizers.py $(BENCH_ARGS)

lint: $(VENV)/.lint ## ruff check, ruff format --check, mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/.lint ## let ruff fix and format what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean: ## delete .venv, out/ and every cache
	rm -rf $(VENV) out build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each set of extras: set-up runs again only when pyproject.toml changes.
EXTRAS_examples := examples
EXTRAS_test := test,examples
EXTRAS_lint := lint

$(VENV)/.examples $(VENV)/.test $(VENV)/.lint: $(VENV)/.%: pyproject.toml | $(PY)
	@echo "Installing .[$(EXTRAS_$*)] into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS_$*)]"
	@touch $@

# Debian keeps ensurepip, which `python -m venv` needs, in a package of its own; virtualenv brings its own pip.
$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "make: Python 3.10 or newer is needed, as python3 or by: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && $(PYTHON) -m venv $(VENV) \
		|| $(PYTHON) -m virtualenv --quiet $(VENV) 2>/dev/null \
		|| { rm -rf $(VENV); \
			echo "make: $(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv;"; \
			echo "      elsewhere: $(PYTHON) -m pip install virtualenv. Then run make again."; exit 1; }
