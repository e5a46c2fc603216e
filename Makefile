# make demo: install, meta-train an optimizer, compare it with tuned ones. make test: install, check, test.
# make test-slow: whole experiments, benchmarks, notebooks and measurements of the how-to pages, on small settings.
# make test-backends: all that runs on JAX, and LearnedOptimizer on PyTorch, which is installed for it.
# make test-nightly: LearnedOptimizer, rules and presets on the Keras of last night, in an environment of its own; a part
# of them with ON_NIGHTLY=tests/presets.
# make wheel: build the wheel into dist, install it with JAX alone into an empty environment, and use it there.
# make docs: build the site of the documentation into site, with warnings as errors.
# make lint, also called check: style and types. make format: mend the style. make bench: the benchmarks, half an hour.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Part of what runs on every backend, with one of two rules; `make test-backends` runs all of it on JAX. In float64, for
# finite differences.
ON_JAX := tests/meta_training/test_unroll.py tests/meta_training/test_meta_gradient.py

NIGHTLY := .venv-nightly
ON_NIGHTLY := tests/optimizer tests/presets tests/rules
EMPTY := dist/empty

.PHONY: demo docs test test-slow test-backends test-nightly check lint format bench wheel clean

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

check lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	$(BIN)/mkdocs build --strict

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

wheel:
	rm -rf build dist
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	$(PYTHON) -m venv $(EMPTY)
	$(EMPTY)/bin/pip install --quiet --disable-pip-version-check "$$(echo dist/*.whl)[jax]"
	KERAS_BACKEND=jax $(EMPTY)/bin/python -W ignore tests/installed_program.py dist/model.keras
	$(EMPTY)/bin/learned-optimizer --version
	$(EMPTY)/bin/learned-optimizer report results/mnist --out=dist/report.html
	KERAS_BACKEND=jax $(EMPTY)/bin/learned-optimizer minimize --command='echo {x}' --float=x:0:1 --num_evaluations=3 \
	    --log=dist/minimize.jsonl

test: check
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal
	KERAS_BACKEND=jax JAX_ENABLE_X64=1 $(BIN)/python -m pytest --numprocesses=2 --dist=worksteal $(ON_JAX) -k "not unscaled"
	@echo "All tests passed. make demo shows what the library does."

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

test-backends: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,torch]'
	$(BIN)/python -m pytest tests/optimizer/test_processes.py -k backends
	$(BIN)/python -m pytest tests/docs/test_pages.py -m "slow or not slow" -k how_to/backends
	KERAS_BACKEND=jax JAX_ENABLE_X64=1 $(BIN)/python -m pytest --numprocesses=2 --dist=worksteal -m every_backend

# The package keras-nightly takes the place of keras, so that both cannot be installed.
test-nightly:
	rm -rf $(NIGHTLY)
	$(PYTHON) -m venv $(NIGHTLY)
	$(NIGHTLY)/bin/pip install --quiet --disable-pip-version-check --editable '.[test]'
	$(NIGHTLY)/bin/pip uninstall --quiet --yes keras
	$(NIGHTLY)/bin/pip install --quiet --disable-pip-version-check --pre keras-nightly
	$(NIGHTLY)/bin/python -m pytest --numprocesses=2 --dist=worksteal $(ON_NIGHTLY)

clean:
	rm -rf $(VENV) $(NIGHTLY) demo site .cache build dist *.egg-info
