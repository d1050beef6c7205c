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

HAS_TORCH = $(PY) -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo examples pictures schedules test test-all bench lint format docs links dist wheel-test clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.examples ## train on handwritten digits, writes out/ (about a minute with set-up)
	@$(call BY_TORCH,digits,$(DEMO_ARGS))
	@echo "By MLX, the same file:"; $(RUN) -m torchish_mlx run examples/digits.py $(DEMO_ARGS)
	@echo; $(RUN) examples/demo.py $(DEMO_ARGS)

# The examples in plain torch, which are run by torch first, where it is installed; their pictures have both curves.
PLAIN := accumulation char_gpt custom_optimizer digits fine_tuning lbfgs_regression photograph vae
BY_TORCH = if $(HAS_TORCH); then echo "By torch, examples/$(1).py:"; $(RUN) examples/$(1).py $(2) --out out/torch; fi

examples: $(VENV)/.examples ## run every example, writes out/ (some minutes; with torch's curves where it is installed)
	@$(foreach name,$(PLAIN),$(call BY_TORCH,$(name),$(EXAMPLES_ARGS)) || exit; echo "By MLX:"; \
		$(RUN) -m torchish_mlx run examples/$(name).py $(EXAMPLES_ARGS) || exit;)
	@for name in mlx_digits mlx_optimizer; do echo "== $$name"; $(RUN) examples/$$name.py $(EXAMPLES_ARGS) || exit; done

PICTURES := char_gpt digits vae lbfgs_regression fine_tuning custom_optimizer
pictures: $(VENV)/.test ## draw the examples' pictures in docs/images/ again, with torch's curves (a few minutes)
	@$(foreach name,$(PICTURES),$(call BY_TORCH,$(name)) && $(RUN) -m torchish_mlx run examples/$(name).py || exit;)
	@$(PY) -c 'from PIL import Image; [Image.open(f"out/{a}.png").convert("RGB").quantize(64).save(f"docs/images/{b}.png") \
		for a in "$(PICTURES)".split() for b in [a.replace("char_gpt", "training")]]'

schedules: $(VENV)/.examples ## draw every learning-rate scheduler, writes out/schedules.png
	@$(RUN) examples/schedules.py

# Whatever the environment says of bytecode: without it each worker rewrites all tests, and each process that a test
# starts compiles the package, again.
test test-all: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.test ## run the tests, but for the long ones (PYTEST_ARGS="tests/optim -k adam" picks some)
	$(RUN) -m pytest -m "not long" $(PYTEST_ARGS)

test-all: $(VENV)/.test ## run all tests, the long ones too
	$(RUN) -m pytest $(PYTEST_ARGS)

bench: $(VENV)/.test ## time and memory of a step compared with its peers, writes out/bench/ (an hour or two; BENCH_ARGS=--quick)
	@$(RUN) benchmarks/optimizers.py $(BENCH_ARGS)

lint: $(VENV)/.lint ## ruff check, ruff format --check, mypy, pyright
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pyright --pythonpath $(PY)

format: $(VENV)/.lint ## let ruff fix and format what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: $(VENV)/.docs ## build the site from docs/ and the docstrings into out/docs; a warning is an error
	$(PY) -m sphinx -q -E -W --keep-going -n -d out/doctrees docs out/docs
	@echo "wrote out/docs/index.html"

links: $(VENV)/.docs ## look whether the addresses that the docs name are there (needs a network)
	$(PY) -m sphinx -q -b linkcheck -d out/doctrees docs out/links

dist: $(VENV)/.dist ## build the sdist, and the wheel from it, into dist/
	rm -rf dist
	$(PY) -m build --quiet
	$(PY) -m twine check --strict dist/*

wheel-test: dist ## run tests/ without torch against the wheel, on each Python 3.10 to 3.13 (WHEEL_ARGS=--all)
	@$(RUN) .ci/wheel.py $(WHEEL_ARGS)

clean: ## delete .venv, out/ and every cache
	rm -rf $(VENV) out build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each set of extras: set-up runs again only when pyproject.toml changes. For the tests it also precompiles
# what MLX's kernels include.
EXTRAS_examples := examples
EXTRAS_test := compat,examples
EXTRAS_lint := lint
EXTRAS_docs := docs
EXTRAS_dist := dist

$(VENV)/.examples $(VENV)/.test $(VENV)/.lint $(VENV)/.docs $(VENV)/.dist: $(VENV)/.%: pyproject.toml | $(PY)
	@echo "Installing .[$(EXTRAS_$*)] into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS_$*)]"
	@$(if $(filter test,$*),$(PY) .ci/kernels.py)
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
