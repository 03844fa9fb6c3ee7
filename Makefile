# make demo and make test work on a fresh machine with Python 3.11 or later; each makes .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: install demo test ui lint lock clean-demo

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: install
	$(BIN)/midar phantom $(DEMO)/inbox --patients 40 --seed 7
	$(BIN)/midar run --inbox $(DEMO)/inbox --data $(DEMO)/data

test: install
	$(BIN)/python -m pytest -n 2 --dist loadgroup

ui: install
	$(BIN)/midar ui --data $(DEMO)/data --inbox $(DEMO)/inbox

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: install
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/^torch==.*/torch==2.13.0/' > constraints.txt

clean-demo:
	rm -rf $(DEMO)
