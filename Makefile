# One command for each thing a reader, a contributor or CI does.

PYTHON ?= python3
# Where else pip may look for torch. On Linux without an NVIDIA GPU the CPU build saves gigabytes:
# make book TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# Chapters, processes for the tests, and versions of Python for the type checker, at a time.
JOBS ?= 2
# What holds on one processor must hold on any: the tests take the instructions of this one, of one with AVX2 or of an
# old one, in turn by the day of the year. make test PROCESSOR=native chooses.
PROCESSOR ?= $(if $(filter x86_64,$(shell uname -m)),$(word $(shell expr $$(date +%j) % 3 + 1),native avx2 sse41),native)
INSTRUCTIONS_native := BUMPLAB_STORE=$(CURDIR)/_build/store
INSTRUCTIONS_avx2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell \
  NUMBA_CPU_NAME=generic BUMPLAB_STORE=$(CURDIR)/_build/store-avx2
INSTRUCTIONS_sse41 := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem \
  NUMBA_CPU_NAME=generic BUMPLAB_STORE=$(CURDIR)/_build/store-sse41
# Python and torch of make colab: Colab has 3.13 and 2.11.0, whose build for GPUs has gigabytes. With both, chapters 1
# and 2 ran to their ends, in eight minutes on two busy cores.
COLAB_PYTHON ?= $(PYTHON)
COLAB_TORCH ?=
# make links ONLINE=yes asks other servers, too.
ONLINE ?=
# Options of the benchmark, as in make bench BENCH="--only diffusers --cap 60".
BENCH ?=

BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
EXECUTE := $(BIN)/python -m book._tools.execute

# Kernels draw into the notebook: with another backend, as servers set it, every figure is lost in silence.
unexport MPLBACKEND
# No progress bars in outputs, and no run from the reader's own cache: new runs of the book live in _build.
book outputs test: export TQDM_DISABLE = 1
book outputs: export BUMPLAB_STORE = $(CURDIR)/_build/store
# One thread: for networks this small a second one gains a fifth on an idle machine and loses a factor on a busy one,
# where the threads of a step wait for each other.
book outputs test: export OMP_NUM_THREADS = 1
export PYDEVD_DISABLE_FILE_VALIDATION = 1

.DEFAULT_GOAL := help
.PHONY: help book test lint colab pythons newest links pdf measure bench runs outputs address clean fresh

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile

book: fresh ## execute the chapters that changed and render the site into _build/html
	$(EXECUTE) --jobs $(JOBS)
	$(BIN)/jupyter-book build . --all -n -W --keep-going
	$(BIN)/python -m book._tools.check_pages
	@echo "The book is ready: open $(CURDIR)/_build/html/index.html"

# The longest chapters start first, then the unit tests: no process is idle while one chapter ends. What nbval has
# executed and found right, make book does not execute again.
test: fresh ## run the tests, and every chapter against its committed outputs
	$(if $(INSTRUCTIONS_$(PROCESSOR)),,$(error PROCESSOR is native, avx2 or sse41, not $(PROCESSOR)))
	@echo "The tests take the instructions of this processor: $(PROCESSOR)."
	chapters=$$($(EXECUTE) --list) && $(INSTRUCTIONS_$(PROCESSOR)) \
	  $(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder -p tests.nbval_cache \
	  --nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg $$chapters tests

# What the code in notebooks must be has its place here, one line.
lint: $(READY) ## check style, types, imports, the code of chapters, and that no file names a path of one computer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=src $(BIN)/lint-imports
	printf '%s\n' 3.11 3.12 3.13 3.14 | xargs -P $(JOBS) -I{} $(BIN)/basedpyright --pythonpath $(BIN)/python --pythonversion {}
	$(BIN)/python -m book._tools.lint_notebooks
	$(BIN)/python -m book._tools.check_paths

colab: ## run the set-up cell and chapters 1 and 2 beside the versions that Colab has; COLAB_PYTHON=python3.13 names a Python
	OMP_NUM_THREADS=1 $(PYTHON) -m book._tools.colab --python $(COLAB_PYTHON) \
	  $(if $(COLAB_TORCH),--torch $(COLAB_TORCH)) $(if $(TORCH_INDEX),--index $(TORCH_INDEX))

pythons: ## import the package, and run the tests that need no torch, on every Python from 3.11 on that is here
	$(PYTHON) -m book._tools.pythons

# For whoever runs it on a schedule: what breaks here breaks for readers soon.
newest: ## run tests and chapters in a fresh environment with the newest versions of everything
	rm -rf .venv-newest && $(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
	  -e '.[book,test]'
	.venv-newest/bin/python -m pip install --quiet --upgrade --no-deps denoising-diffusion-pytorch
	mkdir -p _build && .venv-newest/bin/python -m pip freeze --exclude-editable > _build/newest.txt
	OMP_NUM_THREADS=1 TQDM_DISABLE=1 BUMPLAB_STORE=$(CURDIR)/_build/store-newest .venv-newest/bin/python -m pytest \
	  -n $(JOBS) --dist loadscope --nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg \
	  --deselect tests/test_repository.py::test_constraints_are_what_make_installs \
	  $$(.venv-newest/bin/python -m book._tools.execute --list) tests

# Pages as they are built, and what GitHub shows. OWNER stands in for an address that is not known yet.
links: $(READY) ## check links, anchors and pictures of the built site; ONLINE=yes asks other servers, too
	@test -z "$(ONLINE)" || echo https://arxiv.org | $(BIN)/lychee --quiet - > /dev/null 2>&1 || \
	  { echo "arxiv.org does not answer: ONLINE=yes asks other servers, so it needs a connection."; exit 1; }
	$(BIN)/lychee $(if $(ONLINE),,--offline) --no-progress --include-fragments --exclude /OWNER/ \
	  --root-dir $(CURDIR)/_build/html '_build/html/*.html' '_build/html/book/**/*.html' \
	  README.md CONTRIBUTING.md benchmarks/README.md tests/field_reports.md

pdf: $(READY) ## print the built site into _build/bumplab.pdf, with Chromium
	$(BIN)/python -m book._tools.print_pdf

measure: $(READY) ## measure weight, heights, open code and errors of the built pages, with Chromium
	$(BIN)/python -m book._tools.measure_pages

# What a GPU does is measured by .venv/bin/python benchmarks/gpu.py, in four minutes.
bench: .venv/.bench ## race preset quick against two libraries on this machine; BENCH="--cap 60" passes options
	$(BIN)/python benchmarks/bench.py $(BENCH)

runs: $(READY) ## train the recorded runs of the book that are missing
	$(BIN)/python -m bumplab runs record

outputs: fresh ## run every chapter and write what it prints into the notebooks, to be committed
	$(BIN)/python -m book._tools.outputs

address: $(READY) ## write repository.url of _config.yml into every file that names the address
	$(BIN)/python -m book._tools.address

clean: ## remove what was built, but not .venv
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
	find src tests book benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Drop the runs that another package has trained; name the notebooks that are no chapters.
fresh: $(READY)
	@$(EXECUTE) --fresh

# A peer of the benchmark, which tests run, too, goes without its requirements: it asks for torchvision, of which there
# is no CPU build beside this torch, and uses it for folders of images alone.
$(READY): constraints.txt requirements.txt pyproject.toml
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2> /dev/null || \
	  { echo "bumplab needs Python 3.11 to 3.14, which $(PYTHON) is not: name one, as in make book PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "Installing into .venv; the first time this downloads torch and takes a few minutes."
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch hatchling hatch-requirements-txt
	$(PIP) --no-build-isolation -e '.[book,test]'
	$(PIP) --no-deps denoising-diffusion-pytorch
	@touch $@

.venv/.bench: $(READY)
	$(PIP) -e '.[bench]' --no-build-isolation
	@touch $@
