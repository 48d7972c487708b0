# Everything that people and CI run. `make quickstart` and `make test` set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ORACLES := .oracles
# The versions that developers and CI have, so that a release elsewhere changes nothing here.
LOCKED := --constraint .ci/constraints.txt
# The minor versions of Python that pyproject.toml names.
NAMED := $(shell sed -n 's/.*Programming Language :: Python :: 3\.\([0-9]*\)".*/\1/p' pyproject.toml)
FAST := -m pytest -n 4 --dist loadfile -m "not proof and not oracle"
# What depends on the version of Python and of the dependencies; `make pythons ELSEWHERE=tests` is all.
ELSEWHERE := $(addprefix tests/,core serialize futures session executor blocking test_public.py)

.PHONY: quickstart test coverage check docs transcripts proofs oracles newer-pythons pythons dependencies oldest newest lock release-check bench clean

quickstart: $(VENV)/.quickstart
	$(BIN)/python examples/collatz.py

# Four at a time, though there may be fewer cores: most tests wait for something.
test: $(VENV)/.dev
	$(BIN)/python $(FAST) --ignore=tests/core
	$(BIN)/python -m coverage run --source=funcx_async/_core -m pytest --quiet -m "not proof" tests/core
	$(BIN)/python -m coverage report --fail-under=100

# The whole package; the core is held at 100 % by its own tests, in `make test`.
coverage: $(VENV)/.dev
	$(BIN)/python -m coverage run -m pytest --quiet -m "not proof and not oracle"
	$(BIN)/python -m coverage report --fail-under=90

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --no-warn-unreachable funcx_async
	$(BIN)/mypy --platform darwin --no-warn-unreachable funcx_async
	$(BIN)/pyright --warnings --pythonpath $(BIN)/python
	$(BIN)/python -m tests.prose

# The documentation site, in build/docs; a warning is an error. It needs no network.
docs: $(VENV)/.dev
	rm -rf build/docs docs/reference/names
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky docs build/docs

# Goes the way of each kind of user in a new environment, and writes docs/transcripts anew.
transcripts: $(VENV)/.dev
	$(BIN)/python -m docs.transcripts

# The slower proofs: official packages as oracles, large runs, CPython's own tests. Official agents
# have the machine to themselves: they start in their own time, and fork from many threads.
AGENTS := tests/oracles/test_agents.py
SLURM := tests/oracles/test_slurm.py
proofs: $(VENV)/.dev oracles pythons
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "proof or oracle" --timeout=300 --ignore=$(AGENTS) --ignore=$(SLURM)
	$(BIN)/python -m pytest --timeout=300 $(AGENTS)
	.ci/slurm $(BIN)/python -m pytest -n 2 $(SLURM)

# Builds the distributions into build/release, inspects them, and installs the wheel with each extra
# on this Python and on the newest.
NEWEST := $(ORACLES)/py3$(lastword $(NAMED))
release-check: $(ORACLES)/release/.ready $(NEWEST)/.ready
	$(ORACLES)/release/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	rm -rf build/release
	$(ORACLES)/release/bin/python .ci/release build/release
	$(PYTHON) .ci/try-wheel build/release/*.whl
	$(NEWEST)/bin/python .ci/try-wheel build/release/*.whl

# How fast it is, beside the official clients; twenty minutes. It rewrites docs/performance.md.
bench: $(VENV)/.dev $(ORACLES)/sdk/.ready $(ORACLES)/funcx/.ready
	$(BIN)/python -m benchmarks

# Those but that of .venv. One that cannot be had is an error.
THIS := $(shell $(PYTHON) -c 'import sys; print(sys.version_info.minor)')
OTHERS := $(filter-out $(THIS),$(NAMED))
OTHER := $(foreach minor,$(OTHERS),$(ORACLES)/py3$(minor)/.ready)

newer-pythons: $(OTHER)

# The fast tests of what depends on the version, on each of them.
pythons: $(foreach minor,$(OTHERS),pythons-3.$(minor))

pythons-3.%: $(ORACLES)/py3%/.ready
	$(ORACLES)/py3$*/bin/python $(FAST) $(ELSEWHERE)

# The same tests with the lowest versions of dependencies that pyproject.toml allows, and with the
# newest there are.
dependencies: oldest newest

oldest: $(ORACLES)/oldest/.ready
	$(ORACLES)/oldest/bin/python $(FAST) $(ELSEWHERE)

newest: $(ORACLES)/newest/.ready
	$(ORACLES)/newest/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable '.[dev]'
	$(ORACLES)/newest/bin/python $(FAST) $(ELSEWHERE)

# Writes .ci/constraints.txt: the newest versions for every Python and system.
lock: $(ORACLES)/lock/.ready
	$(ORACLES)/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--extra dev --no-annotate --custom-compile-command 'make lock' \
		pyproject.toml --output-file .ci/constraints.txt

oracles: $(ORACLES)/sdk/.ready $(ORACLES)/funcx/.ready $(ORACLES)/endpoint/.ready $(ORACLES)/endpoint312/.ready $(ORACLES)/endpoint313/.ready $(ORACLES)/notebook/.ready $(ORACLES)/cloudpickle/.ready $(OTHER)

# The official client tells the service which globus-sdk it has, and ours says the same of itself.
$(ORACLES)/sdk/.ready:
	$(PYTHON) -m venv $(ORACLES)/sdk
	$(ORACLES)/sdk/bin/python -m pip install --quiet globus-compute-sdk==4.19.0 globus-sdk==4.9.1
	touch $@

$(ORACLES)/funcx/.ready:
	$(PYTHON) -m venv $(ORACLES)/funcx
	$(ORACLES)/funcx/bin/python -m pip install --quiet funcx==1.0.13
	touch $@

# What the kinds of functions and values that it runs are made with, besides its own packages.
KINDS := attrs msgspec numpy
$(ORACLES)/endpoint/.ready:
	$(PYTHON) -m venv $(ORACLES)/endpoint
	$(ORACLES)/endpoint/bin/python -m pip install --quiet globus-compute-endpoint==4.19.0 $(KINDS)
	touch $@

# The official worker on the newer Pythons that it runs on.
$(ORACLES)/endpoint3%/.ready: $(ORACLES)/py3%/.ready
	$(ORACLES)/py3$*/bin/python -m venv $(ORACLES)/endpoint3$*
	$(ORACLES)/endpoint3$*/bin/python -m pip install --quiet globus-compute-endpoint==4.19.0 $(KINDS)
	touch $@

$(ORACLES)/notebook/.ready:
	$(PYTHON) -m venv $(ORACLES)/notebook
	$(ORACLES)/notebook/bin/python -m pip install --quiet --editable '.[local,progress]' ipywidgets jupyterlab
	touch $@

# The last release of cloudpickle whose package has its test suite.
$(ORACLES)/cloudpickle/.ready:
	rm -rf $(ORACLES)/cloudpickle
	$(PYTHON) -m pip download --quiet --no-deps --no-binary cloudpickle --dest $(ORACLES)/cloudpickle cloudpickle==2.2.1
	tar --extract --strip-components 1 --directory $(ORACLES)/cloudpickle --file $(ORACLES)/cloudpickle/cloudpickle-2.2.1.tar.gz
	touch $@

$(ORACLES)/oldest/.ready: pyproject.toml .ci/oldest
	$(PYTHON) -m venv --clear $(ORACLES)/oldest
	$(PYTHON) .ci/oldest > $(ORACLES)/oldest/constraints.txt
	$(ORACLES)/oldest/bin/python -m pip install --quiet --constraint $(ORACLES)/oldest/constraints.txt --editable '.[dev]'
	touch $@

$(ORACLES)/newest/.ready:
	$(PYTHON) -m venv --clear $(ORACLES)/newest
	touch $@

$(ORACLES)/release/.ready:
	$(PYTHON) -m venv $(ORACLES)/release
	$(ORACLES)/release/bin/python -m pip install --quiet build check-jsonschema twine
	touch $@

$(ORACLES)/lock/.ready:
	$(PYTHON) -m venv $(ORACLES)/lock
	$(ORACLES)/lock/bin/python -m pip install --quiet uv
	touch $@

$(ORACLES)/py3%/.ready: pyproject.toml .ci/constraints.txt .ci/python
	.ci/python 3.$* $(ORACLES)/py3$*
	touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.quickstart: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	$(BIN)/python -m pip install --quiet $(LOCKED) --editable '.[cli,local,progress]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	$(BIN)/python -m pip install --quiet $(LOCKED) --editable '.[dev]'
	touch $@ $(VENV)/.quickstart

clean:
	rm -rf $(VENV) $(ORACLES) build docs/reference/names .coverage .mypy_cache .ruff_cache .hypothesis
