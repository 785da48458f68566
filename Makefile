# make demo: install the core without PyTorch and paint a portrait.   make serve: the page and the HTTP API.
# make test: every check that CI runs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
PIP := -m pip --disable-pip-version-check
SOURCES := $(shell find src -type f -not -path '*/__pycache__/*' 2>/dev/null)

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

# --- environments: each a folder with a stamp inside, rebuilt when what it depends on changes --------------
.venv/.stamp: pyproject.toml constraints.txt LICENSE README.md $(SOURCES)
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) install --quiet -c constraints.txt .
	.venv/bin/python $(PIP) install --quiet -c constraints.txt --no-deps --force-reinstall .
	touch $@

.venv/.web: .venv/.stamp
	.venv/bin/python $(PIP) install --quiet -c constraints.txt '.[web]'
	touch $@

.venv-test/.stamp: pyproject.toml constraints.txt
	test -x .venv-test/bin/python || $(PYTHON) -m venv .venv-test
	.venv-test/bin/python $(PIP) install --quiet --no-compile -c constraints.txt -e '.[test,train]'
	touch $@

.venv-docs/.stamp: pyproject.toml constraints.txt
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(PIP) install --quiet -c constraints.txt 'mkdocs' 'mkdocs-material'
	touch $@

# --- the demo: a public-domain portrait, taken out of matplotlib's wheel, which is not installed ------------
demo/portrait.jpg: examples/fetch_portrait.py | .venv/.stamp
	.venv/bin/python examples/fetch_portrait.py $@

.PHONY: demo
demo: .venv/.stamp demo/portrait.jpg ## install the core without PyTorch and paint a portrait
	.venv/bin/sfumato stylize demo/portrait.jpg -o demo/painted.jpg --overwrite
	.venv/bin/python examples/before_after.py demo/portrait.jpg demo/painted.jpg demo/before_after.jpg
	@echo "painting:         $(CURDIR)/demo/painted.jpg"
	@echo "before and after: $(CURDIR)/demo/before_after.jpg"

# --- the server: options in SERVE, as in: make serve SERVE='--port 8000 --keep 0' ---------------------------
.PHONY: serve
serve: .venv/.web ## a page and an HTTP API for this machine: http://127.0.0.1:7860/
	@exec .venv/bin/sfumato serve $(SERVE)

# --- checks -------------------------------------------------------------------------------------------------
.PHONY: lint
lint: .venv-test/.stamp ## style and types
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy

.PHONY: test
test: lint ## style, types, tests and coverage
	@# One thread for PyTorch: on busy cores its threads wait for each other, and short trainings take minutes.
	OMP_NUM_THREADS=1 .venv-test/bin/pytest -n auto --dist loadfile -m 'not long' --cov --cov-report=term $(PYTEST)

.PHONY: test-long
test-long: .venv-test/.stamp ## the tests that take long: clusters, large networks, trainings
	OMP_NUM_THREADS=1 .venv-test/bin/pytest -n auto --dist loadfile -m long $(PYTEST)

.PHONY: docs
docs: .venv-docs/.stamp ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@echo "documentation: $(CURDIR)/site/index.html"

.PHONY: bench
bench: .venv-test/.stamp ## the measurements of benchmarks/
	@for script in $(wildcard benchmarks/*.py); do echo "== $$script"; .venv-test/bin/python $$script; done

.PHONY: clean
clean: ## remove everything that make made
	rm -rf .venv .venv-test .venv-docs build dist site demo .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
