# make demo: install, meta-train an optimizer, compare it with tuned ones. make test: install, check, test.
# make test-slow: whole experiments, benchmarks, notebooks and measurements of the how-to pages, on small settings.
# make test-backends: all that runs on JAX, and LearnedOptimizer on PyTorch, which is installed for it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Part of what runs on every backend, with one of two rules; `make test-backends` runs all of it on JAX. In float64, for
# finite differences.
ON_JAX := tests/meta_training/test_unroll.py tests/meta_training/test_meta_gradient.py

.PHONY: demo test test-slow test-backends check clean

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
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal
	KERAS_BACKEND=jax JAX_ENABLE_X64=1 $(BIN)/python -m pytest --numprocesses=2 --dist=worksteal $(ON_JAX) -k "not unscaled"
	@echo "All tests passed. make demo shows what the library does."

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

test-backends: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,torch]'
	$(BIN)/python -m pytest tests/optimizer/test_processes.py -k backends
	KERAS_BACKEND=jax JAX_ENABLE_X64=1 $(BIN)/python -m pytest --numprocesses=2 --dist=worksteal -m every_backend

clean:
	rm -rf $(VENV) demo build dist *.egg-info
