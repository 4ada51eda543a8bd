# One command each; all of them set up .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INTEROP := .venv-interop
BENCH := .venv-bench
OHIF := .ohif
OHIF_VERSION := 3.12.10
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?= 1500

.PHONY: help setup test lint types unit demo pacs-demo pacs-picture docs pretext-synthetic bench fuzz faults interop format clean

help:          ## show this list
	@grep -E '^[a-z-]+: *.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(VENV)/.done   ## create .venv with the tested versions

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	touch $@

test: lint types unit   ## lint, types and tests: what CI runs

lint: setup    ## ruff, the direction of imports, the workflows of CI, and the word list
	$(BIN)/python -m tools.check lint

types: setup   ## mypy --strict on both packages and tools, as on Linux and on Windows
	$(BIN)/python -m tools.check types

unit: setup    ## the tests
	$(BIN)/python -m tools.check unit

format: setup  ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: setup    ## the main job and a small study on a synthetic cohort, in ./demo
	rm -rf demo
	$(BIN)/cmr-planes phantom demo/cohort -n 36 --seed 0
	$(BIN)/cmr-planes extract demo/cohort/dicom demo/out.h5 --annotations demo/cohort/truth/cvi42
	$(BIN)/cmr-planes inspect demo/out.h5
	$(BIN)/cmr-planes show demo/out.h5 -o demo/pictures --limit 4
	$(BIN)/cmr-train study examples/demo_study.toml --out demo/study
	@echo
	@echo 'Look at the pictures in demo/pictures, and at the report of the study.'
	@echo 'Next, your own scans: $(BIN)/cmr-planes extract YOUR_DICOM_FOLDER out.h5'

pacs-demo: setup $(OHIF)/.done   ## from a PACS and back: Orthanc, pull, predict, push, and OHIF to look at, in ./demo-pacs
	rm -rf demo-pacs
	$(BIN)/python -m examples.pacs.demo demo-pacs --viewer $(OHIF)/package/dist

pacs-picture: setup $(OHIF)/.done   ## the same without a person: docs/images/ohif.png, taken in Chromium
	rm -rf demo-pacs
	$(BIN)/python -m examples.pacs.demo demo-pacs --viewer $(OHIF)/package/dist --picture docs/images/ohif.png

$(OHIF)/.done:
	mkdir -p $(OHIF)
	cd $(OHIF) && npm pack --silent @ohif/app@$(OHIF_VERSION) && tar xzf ohif-app-$(OHIF_VERSION).tgz && rm ohif-app-$(OHIF_VERSION).tgz
	touch $@

docs: setup    ## the documentation as a site, in ./site; open site/index.html
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m tools.check docs

pretext-synthetic: setup   ## pretext networks trained on a hard synthetic cohort, in ./synthetic; made for a GPU
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/synthetic_pretext.sh synthetic

bench: $(BENCH)/.done   ## speed beside peers, in their own .venv-bench; see benchmarks/README.md
	$(BENCH)/bin/python benchmarks/extract.py
	$(BENCH)/bin/python benchmarks/metrics.py
	test -f demo/out.h5 || $(MAKE) demo
	$(BENCH)/bin/python benchmarks/loader.py demo/out.h5
	$(BENCH)/bin/python benchmarks/step.py demo/out.h5 --base-channels 16 --steps 5
	$(BENCH)/bin/python benchmarks/pretext_run.py

$(BENCH)/.done: pyproject.toml constraints.txt benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]' -r benchmarks/requirements.txt
	touch $@

faults: setup  ## the fault tests at length: 50 kills in all, and 60 full disks
	$(BIN)/pytest tests/faults --kills 17 --full-disks 20 -rP

fuzz: setup    ## mutated inputs for every reader; FUZZ_SECONDS=60 per target, or FUZZ_SECONDS=0 FUZZ_RUNS=1500 inputs per target
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	nice -n 19 $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) --runs $(FUZZ_RUNS)

interop: $(INTEROP)/.done   ## the tests that run nnU-Net and MONAI, in their own .venv-interop
	$(INTEROP)/bin/python -m pytest -m interop -n 0 tests/interop

$(INTEROP)/.done: pyproject.toml constraints.txt tests/interop/requirements.txt
	$(PYTHON) -m venv $(INTEROP)
	$(INTEROP)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]' -r tests/interop/requirements.txt
	touch $@

clean:         ## remove what the commands above made, except ./synthetic
	rm -rf $(VENV) $(INTEROP) $(BENCH) $(OHIF) demo demo-pacs site .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
