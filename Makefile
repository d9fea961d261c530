# `make help` lists the targets. Each works on a fresh machine with Python 3.11 or newer: it sets up what it needs.
IS_NEW_ENOUGH = -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
PYTHON ?= $(firstword $(foreach python,python3 python3.11 python3.12 python3.13 python3.14,\
	$(shell $(python) $(IS_NEW_ENOUGH) && echo $(python))))
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup new train test test-all test-hydra14 test-pythons torture sweep dashboard check schema format docs release bench bench-quick bench-peers clean

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

setup: .venv/ready .schemas/config.json  ## make .venv and install everything at the versions of constraints.txt

.venv/ready: pyproject.toml constraints.txt
	$(or $(PYTHON),false) $(IS_NEW_ENOUGH) || { echo "make: no Python 3.11 or newer; name one: make PYTHON=<path> ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^pip==' constraints.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --group dev -e .
	touch $@

.schemas/config.json: .venv/ready
	$(BIN)/sweeplab schema

new:  ## make a project of your own: make new NAME=../mylab [TASK=classification|regression|language|empty]
	@$(or $(PYTHON),false) $(IS_NEW_ENOUGH) || { echo "make: no Python 3.11 or newer; name one: make PYTHON=<path> ..."; exit 1; }
	@PYTHONPATH=src $(PYTHON) -m sweeplab.new.command new '$(NAME)' 'task=$(TASK)'

train: setup  ## train the default model: a few seconds, no account, no network
	$(BIN)/python train.py

test: setup  ## run the tests that take little time: some minutes
	$(BIN)/pytest -n 2 -m "not slow"

test-all: setup  ## run all tests: kills, launchers, every choice of conf/; an hour on two cores
	$(BIN)/pytest -n 2 --durations=30

torture: setup  ## kill sweeps at random and look at what they come to: make torture [MINUTES=10] [SEED=0]
	$(BIN)/python -m tests.torture --minutes $(or $(MINUTES),10) --seed $(or $(SEED),0)

# What meets Hydra, with its slow tests; of the loop above it, those that take little time.
MEETS_HYDRA := tests/hydra_plugins tests/sweeplab/sweep/config \
	$(patsubst %,tests/sweeplab/sweep/test_%.py,check moving_over program)
ABOVE_HYDRA := $(filter-out $(MEETS_HYDRA),$(wildcard tests/sweeplab/sweep/test_*.py))

test-hydra14: .venv-hydra14/ready  ## run the tests of what meets Hydra on the next Hydra, without torch
	.venv-hydra14/bin/pytest -n 2 $(MEETS_HYDRA)
	.venv-hydra14/bin/pytest -n 2 -m "not slow" $(ABOVE_HYDRA)

.venv-hydra14/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-hydra14
	grep -vE '^(hydra-core|omegaconf|antlr4-python3-runtime)==' constraints.txt > .venv-hydra14/constraints.txt
	.venv-hydra14/bin/pip install --quiet --disable-pip-version-check -c .venv-hydra14/constraints.txt \
		"$$(sed -n 's/^\(hydra-core==1\.4[^;]*\);.*/\1/p' constraints.txt)" pytest pytest-xdist hypothesis -e '.[dask,report]'
	touch $@

sweep: setup  ## search with pruning, W&B offline: about a minute
	$(BIN)/python train.py -m sweep=asha model=cnn logger=wandb trainer.max_epochs=9 hydra.sweeper.n_trials=16

dashboard: setup  ## open optuna-dashboard on a study: make dashboard STUDY=multirun/cnn [PORT=8080] [STORAGE=URL]
	@$(BIN)/python -m sweeplab.sweep.dashboard $(STUDY) 'port=$(PORT)' 'storage=$(STORAGE)'

PYTHONS ?= $(foreach python,python3.11 python3.12 python3.13 python3.14,\
	$(shell $(python) $(IS_NEW_ENOUGH) && echo $(python)))

test-pythons: $(PYTHONS:%=.venv-pythons/%/ready)  ## run the tests of the sweep engine on every Python at hand, without torch
	set -e; for python in $(PYTHONS); do \
		.venv-pythons/$$python/bin/pytest -n 2 -m "not slow" tests/sweeplab/sweep tests/hydra_plugins; done

.venv-pythons/%/ready: pyproject.toml constraints.txt
	$* -m venv .venv-pythons/$*
	.venv-pythons/$*/bin/pip install --quiet --disable-pip-version-check -c constraints.txt \
		pytest pytest-xdist hypothesis -e '.[report]'
	touch $@

check: setup  ## lint, check the format, the types and conf/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sweeplab check

schema: setup  ## write the schemas that editors read for conf/, after a change of classes or files
	$(BIN)/sweeplab schema

format: setup  ## mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## build the site of README.md, docs/ and the docstrings into site/, without a network
	$(BIN)/python docs/site.py
	$(BIN)/zensical build --strict --clean
	@echo "Open site/index.html; to search it, run: $(BIN)/python -m http.server --directory site"

release: setup  ## check, build and tag the version of pyproject.toml; publish it by the commands that this prints
	$(BIN)/python .ci/release.py

PEERS := hos13 hos14 raytune synetune

bench-peers: setup $(PEERS:%=.venv-peers/%/ready)  ## make the environments of those that bench/ compares with: 7 GB

.venv-peers/%/ready: bench/peers/%/requirements.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/pip install --quiet --disable-pip-version-check "$$(grep '^pip==' constraints.txt)"
	.venv-peers/$*/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

WAYS := "sweeplab: tpe" "sweeplab: tpe + asha" "hos-1.4 joblib: tpe"

bench: setup  ## measure everything against the peers of `make bench-peers`: an hour, on a machine with nothing else to do
	$(BIN)/python bench/step.py
	$(BIN)/python bench/start.py --repeats 3
	$(BIN)/python bench/trial.py --rounds 1 --hold 5
	$(BIN)/python bench/slots.py --mean 2 --batches 3
	$(BIN)/python bench/scale.py --further 48
	$(BIN)/python bench/nodes.py
	$(BIN)/python bench/cluster.py
	$(BIN)/python bench/quality.py --seeds 10 --seconds 18 --epochs 9 --ways $(WAYS)
	$(BIN)/python bench/compare.py $(if $(shell command -v chromium),--browser)
	$(BIN)/python bench/page.py

bench-quick: export BENCH_RESULTS = outputs/bench
bench-quick: setup  ## the same at its smallest, to see that it runs: five minutes
	$(BIN)/python bench/step.py --epochs 5
	$(BIN)/python bench/start.py --repeats 1
	$(BIN)/python bench/trial.py --tasks noop --rounds 1 --trials 8 --engines sweeplab "hos-1.4 joblib" "optuna loop" "bare loop"
	$(BIN)/python bench/slots.py --lengths uniform asha --slots 4 --mean 1 --batches 3
	$(BIN)/python bench/scale.py --trials 100 1000 --storages journal --further 12 --slots 2
	$(BIN)/python bench/cluster.py --slots 48 --mean 2 --trials 144 --samplers random
	$(BIN)/python bench/quality.py --seeds 1 --seconds 12 --epochs 3 --ways "sweeplab: tpe + asha" "hos-1.4 joblib: tpe"
	$(BIN)/python bench/compare.py --runs 100 --repeats 1

clean:  ## remove the environment and the caches; runs and data stay
	rm -rf .venv .cache build site .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
