# Everything runs in .venv, which is made when it is first needed and again when what it
# depends on changes. The second time nothing is installed, and no network is needed.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
SAMPLE := data/mae_pretrain_vit_large.pth
DEMO := data/mae_demo.pth
IMAGES := --image data/chelsea.png --image data/astronaut.png

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test coverage browser nightly fuzz faults check format docs site bench clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

venv: .venv/installed ## Make .venv with the pinned versions

# The stamp comes last: an installation that was interrupted is done again.
.venv/installed: pyproject.toml constraints.txt
	@echo "Setting up .venv (some minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install -c constraints.txt -e ".[dev]"
	@touch $@

# Order-only: a new .venv is no reason to write the file again, and a real one is never replaced.
$(SAMPLE): | .venv/installed
	@$(BIN)/ckpttool sample $@

# The small file is in git: there is something to see while the large one is written.
demo: .venv/installed ## Verify a small trained MAE, then a full-size ViT-Large checkpoint
	@$(BIN)/ckpttool verify $(DEMO) $(IMAGES)
	@echo
	@$(MAKE) --no-print-directory $(SAMPLE)
	@$(BIN)/ckpttool verify $(SAMPLE)

test: .venv/installed ## Run all tests, the full-size ones too
	@$(BIN)/python -m pytest

# The tests that prove that attacks fire are of child processes, which are not measured.
coverage: .venv/installed ## Fail on lines and branches of the readers and writers that no test takes
	@$(BIN)/coverage run -m pytest -q -m "not fires" \
	  tests/ckpttool/conversion tests/ckpttool/files tests/ckpttool/formats tests/faults
	@$(BIN)/coverage report

browser: .venv/installed ## Test the HTML report in Chromium, which has to be installed
	@$(PIP) install -c constraints.txt -e ".[dev,browser]"
	@$(BIN)/python -m pytest tests/ckpttool/reports/html -rs

nightly: .venv/installed ## Try 100,000 mutated inputs of each parser; `make test` tries a sample of them
	@$(BIN)/python -m tests.fuzzing --count 100000

fuzz: .venv/installed ## Try 10 million of each, and a million led by coverage: hours; it goes on where it was stopped
	@$(PIP) install -c constraints.txt -e ".[dev,fuzz]"
	@$(BIN)/python -m tests.fuzzing --count 10000000 --led 1000000 --results tests/fuzzing/results.json

faults: .venv/installed ## Let every call of every writer fail, kill writers, and fill their disks: minutes
	@$(BIN)/python -m tests.faults

check: .venv/installed ## Lint, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv/installed ## Format the code
	@$(BIN)/ruff format .

docs: .venv/installed ## Remake the rule pages, the tables and all outputs of commands in the pages
	@$(BIN)/python -m docs.make_rules
	@$(BIN)/python -m docs.make_safety
	@$(BIN)/python -m docs.make_diagnosis
	@$(BIN)/python -m docs.make_neighbours
	@$(BIN)/python -m docs.make_benchmarks
	@$(BIN)/python -m docs.make_comparison
	@$(BIN)/python -m docs.make_hostile
	@$(BIN)/python -m docs.make_security
	@$(BIN)/python -m docs.make_faults
	@$(BIN)/python -m docs.make_outputs
	@$(BIN)/ckpttool verify -q $(DEMO) $(IMAGES) --pictures docs/pictures
	@$(BIN)/python -m docs.make_tour

site: .venv/installed ## Build the documentation as a site, in build/site
	@$(PIP) install -c constraints.txt -e ".[site]"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: .venv/installed $(SAMPLE) ## Measure speed and memory against the alternatives
	@$(BIN)/python -m benchmarks

clean: ## Remove .venv and the caches; data/ stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build dist
