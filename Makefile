# Everything runs in .venv, which the targets below create on a machine that has only Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
BIN := .venv/bin
READY := .venv/.ready
DEV := .venv/.dev
DBT := .venv-dbt/.ready
RELEASE := .venv-release/.ready
SITE := .venv-site/.ready
SPARK := .venv-spark/.ready
DAGSTER := .venv-dagster/.ready
TESTS ?= tests
JOBS ?= 2

export UV_CONSTRAINT := $(CURDIR)/constraints.txt
export MELTANO_CLI_DISABLE_VERSION_CHECK := true
unexport PYTHONDONTWRITEBYTECODE  # without compiled files, each of a thousand processes compiles everything again

.DEFAULT_GOAL := help
.PHONY: help setup dbt demo sandbox test test-all soak integrations dagster spark check-examples mutants audit sbom lint release-check site bench bench-quick docs new-tap constraints clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV) dbt  ## Create .venv with all that tests and checks need, and .venv-dbt with dbt

$(READY): pyproject.toml constraints.txt
	@test -d .venv || $(PYTHON) -m venv .venv
	@awk '/^[^ ]/ {wanted = /^uv==/} wanted' constraints.txt > .venv/uv.txt  # pip does not take hashes as constraints
	@$(BIN)/python -m pip install --quiet --requirement .venv/uv.txt
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --editable '.[loader,sandbox,realtime,report]' --group meltano
	@touch $@

$(DEV): $(READY)
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --editable '.[delta,s3,otel,webhooks]' --group dev --group bench
	@touch $@

dbt: $(READY)  ## Create .venv-dbt, in which the models of transform/ are run
	@$(MAKE) --silent $(DBT) || echo "dbt could not be installed: the models of transform/ are left out"

$(DBT): pyproject.toml transform/constraints.txt
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-dbt
	@UV_CONSTRAINT=transform/constraints.txt VIRTUAL_ENV=$(CURDIR)/.venv-dbt $(BIN)/uv pip install --quiet --group transform
	@touch $@

demo: $(READY) dbt  ## Load the sandbox through Meltano into warehouse.duckdb (TAPS=tap-peek for just one); again: a day later
	@$(BIN)/python -m scripts.demo $(TAPS)

sandbox: export COMMAND = $(or $(value CMD),exec $${SHELL:-sh})
sandbox: $(READY)  ## Run a command against the sandbox: CMD='meltano run tap-peakium target-duckhouse'
	@$(BIN)/python -m scripts.story sh -c "$$COMMAND"

bench: $(DEV)  ## Measure this project and others side by side (BENCH=extraction for one case, AGAINST=DIR for another checkout)
	@$(BIN)/python -m benchmarks $(or $(BENCH),--keep) $(if $(AGAINST),--against '$(AGAINST)')
	@$(BIN)/python -m benchmarks.page

bench-quick: $(DEV)  ## Measure this project alone, with fewer records
	@$(BIN)/python -m benchmarks --quick

docs: $(DEV)  ## Generate what comes from the code: parts of pages, meltano.yml, .env.example
	@$(BIN)/python -m scripts.reference
	@$(BIN)/python -m benchmarks.page

new-tap: $(DEV)  ## Write a new tap with its sandbox, contract, tests and page: NAME=acme
	@$(BIN)/python -m scripts.new_tap "$$NAME"

test: $(DEV) dbt  ## Run the test suite (TESTS=tests/core for a part of it)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(TESTS)

test-all: $(DEV)  ## Run the test suite on Python 3.11, 3.12 and 3.13, those that are on this machine
	@for version in 3.11 3.12 3.13; do \
		for python in "$$(command -v python$$version)" $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python ""; do \
			test -n "$$python" && "$$python" -c "" 2>/dev/null && break; \
		done; \
		if test -z "$$python"; then echo "Python $$version is not on this machine"; continue; fi; \
		echo "Python $$version: $$python"; \
		export VIRTUAL_ENV="$(CURDIR)/.venv-$$version"; \
		$(BIN)/uv venv --quiet --allow-existing --python "$$python" "$$VIRTUAL_ENV" \
			&& $(BIN)/uv pip install --quiet --editable '.[loader,delta,s3,otel,sandbox,realtime,report,webhooks]' --group dev --group meltano \
			&& PATH="$$VIRTUAL_ENV/bin:$$PATH" "$$VIRTUAL_ENV/bin/python" -m pytest -n $(JOBS) --dist loadgroup $(TESTS) || exit 1; \
	done

soak: export KILLS ?= 200
soak: export FUZZ ?= 5000
soak: export NIGHTS ?= 100
soak: export ACTS ?= 10
soak: export NIGHTS_SEED ?= $(shell date +%s)
soak: export WORLD_SIZE ?= medium
soak: export WORLDS ?= 8
soak: $(DEV) dbt  ## The long forms: kills and nights by the hundred, thousands of odd inputs, larger worlds; takes hours
	@$(BIN)/python -m pytest -n $(JOBS) -rP --show-capture=stdout tests/faults/test_load.py tests/loader/test_compact.py tests/fuzz tests/nights tests/test_leaves.py tests/transform tests/airbyte/test_kills.py tests/webhooks/test_live.py
	@FACE=airbyte $(BIN)/python -m pytest -n $(JOBS) $(addprefix tests/faults/test_,http.py pagination.py state.py auth.py wire.py secrets.py settings.py) -k "not the_loader and not 2999"  # what a state of Singer has beside its bookmarks

integrations: export DAYS ?= 4
integrations: export INTEGRATIONS := 1
integrations: $(DEV) $(SPARK) dbt  ## Load other warehouses over more days, keep the state elsewhere, run Airbyte's tools, Dagster and Spark, have nginx, Caddy and systemd check pages (ONLY=duckdb-peek for some of it); needs PostgreSQL's programs and Java 17
	@$(BIN)/python -m pytest -n 1 -rs $(if $(ONLY),-k "$(ONLY)") tests/loader/test_postgres.py tests/transform/test_postgres.py tests/pipeline/test_state_backends.py tests/pipeline/test_your_project.py tests/airbyte/test_tools.py tests/webhooks/test_page.py tests/loader/test_readers.py
	@$(if $(ONLY),,$(MAKE) --no-print-directory dagster spark)

dagster: $(DAGSTER)  ## Check and run the assets of examples/dagster
	@$(BIN)/mypy --python-executable .venv-dagster/bin/python --config-file examples/dagster/pyproject.toml
	@PATH="$(CURDIR)/.venv-dagster/bin:$$PATH" .venv-dagster/bin/python -m pytest -c examples/dagster/pyproject.toml examples/dagster

$(DAGSTER): examples/dagster/pyproject.toml examples/dagster/constraints.txt pyproject.toml | $(DEV)
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-dagster
	@UV_CONSTRAINT=examples/dagster/constraints.txt VIRTUAL_ENV=$(CURDIR)/.venv-dagster $(BIN)/uv pip install --quiet \
		--editable examples/dagster --group examples/dagster/pyproject.toml:dev
	@touch $@

integrations spark: export JAVA_HOME ?= $(firstword $(wildcard /usr/lib/jvm/java-17-openjdk-*))
spark: $(SPARK)  ## Check and run the data source of examples/spark; needs Java 17
	@$(BIN)/mypy --python-executable .venv-spark/bin/python --config-file examples/spark/pyproject.toml
	@.venv-spark/bin/python -m pytest -c examples/spark/pyproject.toml examples/spark

$(SPARK): examples/spark/pyproject.toml examples/spark/constraints.txt pyproject.toml | $(DEV)
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-spark
	@UV_CONSTRAINT=examples/spark/constraints.txt VIRTUAL_ENV=$(CURDIR)/.venv-spark $(BIN)/uv pip install --quiet \
		--editable examples/spark --group examples/spark/pyproject.toml:dev
	@touch $@

check-examples: export CHECK_EXAMPLES := 1
check-examples: $(DEV)  ## Check the Dockerfile and examples/ with the tools made for them; needs a package index
	@$(BIN)/python -m pytest -n 1 -rs tests/examples

mutants: $(DEV)  ## Make the mistakes of tests/mutants.toml one by one; reports those that no test notices
	@$(BIN)/python -m tests.mutants --jobs $(JOBS) $(if $(ONLY),--only "$(ONLY)")

lint: $(DEV)  ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

$(RELEASE): pyproject.toml scripts/constraints.txt | $(READY)
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-release
	@UV_CONSTRAINT=scripts/constraints.txt VIRTUAL_ENV=$(CURDIR)/.venv-release $(BIN)/uv pip install --quiet --group release
	@touch $@

release-check: $(READY) $(RELEASE)  ## Check what must hold before a tag: versions, archives, an installation; offline after the first time
	@$(BIN)/python -m scripts.release_check .venv-release/bin/twine

$(SITE): pyproject.toml scripts/constraints.txt | $(READY)
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-site
	@UV_CONSTRAINT=scripts/constraints.txt VIRTUAL_ENV=$(CURDIR)/.venv-site $(BIN)/uv pip install --quiet --group site
	@touch $@

site: $(READY) $(SITE)  ## Build the pages as a site in site/, and look for dead links and for what it would load from elsewhere
	@$(BIN)/python -m scripts.site .venv-site/bin/zensical

audit: $(DEV)  ## Look up known weaknesses of what is pinned: OSV_URL=https://api.osv.dev/v1/query
	@if test -z "$(OSV_URL)"; then \
		echo "skipped: OSV_URL names no database to ask"; \
	else \
		$(BIN)/uv tool run --quiet 'pip-audit>=2.10,<3' --requirement constraints.txt --no-deps --disable-pip \
			--vulnerability-service osv --osv-url "$(OSV_URL)"; \
	fi

sbom: $(DEV)  ## Write sbom.json, a list in CycloneDX's form of what is installed
	@$(BIN)/uv tool run --quiet --from 'cyclonedx-bom>=7.2,<8' cyclonedx-py environment .venv --output-format JSON \
		--output-reproducible --output-file sbom.json
	@echo "sbom.json"

constraints: $(DEV)  ## Compile all constraints.txt again from the pyproject.toml that they belong to
	@$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --generate-hashes --all-extras --group dev --group bench --group meltano --group plugins pyproject.toml -o constraints.txt
	@awk '/^duckdb==/ {print $$1}' constraints.txt > .venv/duckdb.txt  # loader and dbt share a file
	@UV_CONSTRAINT=.venv/duckdb.txt $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --generate-hashes --group transform -o transform/constraints.txt
	@UV_CONSTRAINT= $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --generate-hashes --group release --group site -o scripts/constraints.txt
	@UV_CONSTRAINT= $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --generate-hashes --no-emit-package merchant-taps \
		--group examples/spark/pyproject.toml:dev examples/spark/pyproject.toml -o examples/spark/constraints.txt
	@UV_CONSTRAINT=.venv/duckdb.txt $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --generate-hashes --no-emit-package merchant-taps \
		--group examples/dagster/pyproject.toml:dev examples/dagster/pyproject.toml -o examples/dagster/constraints.txt

clean:  ## Remove what the targets above made
	@rm -rf .venv .venv-* transform/target transform/logs sbom.json .meltano .pytest_cache .mypy_cache .ruff_cache dist site report.html warehouse.duckdb warehouse.duckdb.wal
