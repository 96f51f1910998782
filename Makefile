# Thin names for what people do here. `make help` lists them.
PYTHON ?= python3.11
MESH := .venv
TRITON := .venv-triton
BIN := $(MESH)/bin
WEB := services/dashboard
BASE ?= origin/main

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup web ohif demo up test test-systems test-parts soak check bench deid-score protos locks format clean
.PHONY: check-format check-types check-imports check-contracts check-generated check-licenses check-docs check-web

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(MESH)/.ready: locks/mesh.txt pyproject.toml scripts/bootstrap.sh
	scripts/bootstrap.sh $(PYTHON) $(MESH) locks/mesh.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(TRITON)/.ready: locks/triton.txt scripts/bootstrap.sh
	scripts/bootstrap.sh $(PYTHON) $(TRITON) locks/triton.txt
	@touch $@

$(WEB)/node_modules/.ready: $(WEB)/package-lock.json
	npm --prefix $(WEB) install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public $(WEB)/scripts -type f 2>/dev/null) \
	$(addprefix $(WEB)/,index.html package.json svelte.config.js vite.config.ts)

$(WEB)/dist/.built: $(WEB)/node_modules/.ready $(WEB_SOURCES)
	npm --prefix $(WEB) run --silent build
	@touch $@

web: $(WEB)/dist/.built ## build the page

# Without Node.js everything but the page can be used.
PAGE := $(if $(shell command -v npm),$(WEB)/dist/.built)

setup: $(MESH)/.ready $(TRITON)/.ready $(PAGE) ## install everything a laptop needs
	$(if $(PAGE),,@echo "The page is not built: install Node.js 20 or newer, then: make web")

ohif: ## fetch the viewer OHIF; `heimdallr up --ohif-port 8081` serves it
	deploy/ohif/fetch.sh

demo: setup ## start everything, send a phantom, print measured against true (ARGS=--exit stops afterwards)
	heimdallr demo $(ARGS)

up: setup ## start everything and stay (ARGS are those of `heimdallr up`)
	heimdallr up $(ARGS)

test: setup ## every test; with CI=true a skipped one fails the run (ARGS=... for some, as pytest's)
ifeq ($(ARGS),)
	$(MAKE) --jobs=2 --output-sync=$(if $(CI),target,none) test-systems test-parts
else
	pytest $(ARGS)
endif

# Two halves side by side. Those that start the whole stack run one after another: no two stacks
# compete for the machine.
test-systems:
	pytest -o cache_dir=.pytest_cache/systems -m "not soak and (stack or browser)"

test-parts:
	pytest -o cache_dir=.pytest_cache/parts -m "not soak and not stack and not browser"

soak: setup ## the tests that take minutes each: faults, fuzzing, large numbers
	pytest -m soak $(ARGS)

bench: setup ## measure against the peers and write docs/benchmarks.md
	python -m scripts.bench $(ARGS)

deid-score: setup ## score de-identification on a synthetic corpus, beside other tools
	python -m scripts.deid_score $(ARGS)
	python -m scripts.score_pixels --frames 50 # all 500 are scored by `make soak`

check: check-format check-types check-imports check-contracts check-generated check-licenses check-docs check-web ## everything that can be said without running it

check-format: $(MESH)/.ready
	ruff check
	ruff format --check

check-types: $(MESH)/.ready
	mypy

check-imports: $(MESH)/.ready
	lint-imports

check-contracts: $(MESH)/.ready
	buf lint
	buf format --diff --exit-code
	scripts/check_breaking.sh $(BASE)

check-generated: $(MESH)/.ready $(WEB)/node_modules/.ready
	scripts/check_generated.sh

check-licenses: $(MESH)/.ready
	python scripts/check_licenses.py

check-docs: $(MESH)/.ready
	python scripts/check_docs.py

check-web: $(WEB)/dist/.built
	npm --prefix $(WEB) run --silent check
	npm --prefix $(WEB) run --silent lint
	npm --prefix $(WEB) run --silent test
	npm --prefix $(WEB) run --silent size

format: $(MESH)/.ready ## format Python and contracts
	ruff check --fix
	ruff format
	buf format --write

protos: $(MESH)/.ready $(WEB)/node_modules/.ready ## generate the code of the contracts
	python scripts/generate_protos.py
	buf generate

locks: $(MESH)/.ready ## resolve the lock files anew
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-header --quiet --output-file locks/mesh.txt
	uv pip compile locks/triton.in --generate-hashes --no-header --quiet --output-file locks/triton.txt

clean: ## remove what was installed and generated here, no data
	rm -rf $(MESH) $(TRITON) $(WEB)/node_modules $(WEB)/dist .mypy_cache .ruff_cache .pytest_cache
