# Every target sets up what it needs: python3 with venv, and a package index, are enough.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# pip compiles nothing here (--no-compile): what is imported is compiled then, and must be kept.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test cases fault fault-long bench bench-check check format readme docs dist clean test-slow

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 18

setup: $(READY) ## Make .venv and install featx into it, once

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch $(READY)

demo: $(READY) ## Extract and fit 70 handwritten digits with VGG16's ImageNet weights
	$(BIN)/featx sample data/digits --per-class 7
	$(BIN)/featx extract data/digits -o data/digits.h5
	$(BIN)/featx fit data/digits.h5 -o data/digits.featx --overwrite --heads nearest-centroid,lda,logreg,linear-svm,rbf-svm

test: $(READY) ## Run the tests
	OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal

test-slow: $(READY) ## Run the tests that take long
	OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m slow

# What users ran into; docs/troubleshooting.md has the list.
CASES = dataset cache/test_removed.py cli/test_streams.py cli/test_exits.py heads/test_folds.py \
  images/test_check.py images/test_formats.py images/test_inputs.py model/test_model.py \
  model/test_versions.py exporting/test_export.py scoring/test_known.py scoring/test_tables.py \
  storage/test_files.py storage/test_locks.py test_backend.py whole/test_outputs.py

cases: $(READY) ## Run the tests of what users ran into
	$(BIN)/python -m pytest -n 2 --dist worksteal $(addprefix tests/,$(CASES))

fault: $(READY) ## Kill, crash, corrupt and race runs, in minutes
	$(BIN)/python -m pytest -n 2 -m fault tests/whole/test_fault.py

fault-long: $(READY) ## Run the fault tests with the full numbers, in an hour or two
	FEATX_FAULTS=long $(BIN)/python -m pytest -n 2 -m fault tests/whole/test_fault.py

bench: $(READY) ## Measure against other tools, an hour or two: make bench PHOTOS=folder
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	for bench in extract recipe precision finetune score_images reader reliability start memory; do \
	  $(BIN)/python benchmarks/bench_$$bench.py $(PHOTOS) || exit 1; done
	for bench in runtimes compare score_cache listing; do $(BIN)/python benchmarks/bench_$$bench.py || exit 1; done

bench-check: $(READY) ## List the targets that the last bench missed
	$(BIN)/python benchmarks/check.py

check: $(READY) ## Check format, lint and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(READY) ## Format the code and fix what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

readme: $(READY) ## Run the README's commands in an empty folder
	$(BIN)/python tests/whole/run_readme.py $(BIN)

docs: $(READY) ## Build the site of the documents, build/docs/index.html; a broken link fails
	$(BIN)/python -m sphinx -q -E -W --keep-going -c docs/site -d build/doctrees docs build/docs

dist: $(READY) ## Build wheel and sdist into dist/, and check what is in them
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build twine
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python tests/whole/check_dist.py dist

clean: ## Delete .venv and everything that was made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find data -mindepth 1 ! -name README.md -delete
