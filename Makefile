# make demo       install edgecnn[train] into .venv and run the demonstration into demo-output
# make test       the same environment with the test tools: ruff, mypy, pytest
# make lint       ruff and mypy alone
# make reference  write docs/cli.md from the commands' --help
# make clean      remove the environment and everything made

VENV := .venv
# The first of these that fits makes the environment. TensorFlow has no wheels beyond Python 3.13.
PYTHON ?= python3 python3.13 python3.12 python3.11 python3.10
FITS := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable

.PHONY: demo test lint reference clean

demo: $(VENV)/.train
	$(VENV)/bin/edgecnn demo --output demo-output

test: lint
	$(VENV)/bin/python -m pytest

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

reference: $(VENV)/.test
	$(VENV)/bin/python tools/cli_reference.py

clean:
	rm -rf $(VENV) build dist edgecnn.egg-info demo-output .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment for both: the test tools are added to what the demonstration needs.
$(VENV)/.test: $(VENV)/.train
	@echo "Installing the test tools into $(VENV)"
	@$(INSTALL) '.[test]'
	@touch $@

$(VENV)/.train: pyproject.toml | $(VENV)/bin/python
	@echo "Installing edgecnn with TensorFlow into $(VENV): a minute or more, 2.7 GB"
	@$(INSTALL) '.[train]'
	@touch $@

$(VENV)/bin/python:
	@why="no Python 3.10 to 3.13 among: $(PYTHON); type: make PYTHON=/path/to/python3.12"; \
	for python in $(PYTHON); do \
		$$python -c '$(FITS)' 2>/dev/null || continue; \
		$$python -c 'import ensurepip, venv' 2>/dev/null && exec $$python -m venv $(VENV); \
		why="$$python cannot make environments; on Debian or Ubuntu type: sudo apt install python3-venv"; \
	done; \
	echo "Error: $$why" >&2; exit 1
