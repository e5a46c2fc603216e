# make demo: install, meta-train an optimizer, compare it with tuned ones. make test: install, check, test.
# make test-backends: the tests of LearnedOptimizer under JAX and PyTorch, with both installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-backends check clean

$(INSTALLED): setup.cfg pyproject.toml
	@echo "Installing into $(VENV): about a minute, several hundred megabytes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

demo: $(INSTALLED)
	@rm -rf demo
	@echo "Meta-training an optimizer on small networks that read 8x8 digits: about two minutes."
	$(BIN)/python train.py --config=examples/configs/demo.py --run_dir=demo/run
	@echo "Comparing it with tuned optimizers, on networks with Keras's own initial weights: about half a minute."
	$(BIN)/python evaluate.py --problem=digits --initialization=glorot --optimizers=demo/run,adam,sgd,nag,rmsprop \
	    --out=demo/results
	@echo
	@echo "The optimizer is in demo/run, its comparison in demo/results: look at demo/results/curves.png"

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile
	@echo "All tests passed. make demo shows what the library does."

test-backends: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,torch]'
	$(BIN)/python -m pytest tests/optimizer/test_processes.py -k backends

clean:
	rm -rf $(VENV) demo build dist *.egg-info
