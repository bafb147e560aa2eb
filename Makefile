# The targets are the documentation of how to work on this project.
#
#   make demo                      the main job from nothing: data, training, reload, index, search, and the page over it
#   make demo PYTHON=/path/python  the same beside the torch that this Python has
#   make demo TORCH='torch==2.9.0' the same with another torch
#   make test                      the tests
#   make test-slow                 the tests that take minutes; adds the extra `ray`, 240 MB
#   make test-gpu                  the tests that need a GPU, which the others do not see
#   make test-models               the tests with real speech and screen text models; adds their extras and 150 MB of weights
#   make test-app                  the tests that drive a browser over the page of `serve`; adds Chromium
#   make test-mteb                 the tests of models under mteb; adds the extra `mteb`, 300 MB
#   make test-timm                 the tests of Perception Encoder, in an environment with timm and torchvision, 42 MB
#   make test-datasets36           the data set builders as scripts of datasets 3.6, in an environment of its own
#   make test-transformers         transformers' own common tests of models and processors over ours; fetches them, 11 MB
#   make docs                      the site of the documentation, in build/site; any dead link is an error
#   make check                     lint, format, types and layers
#   make bench                     every figure the README quotes that takes minutes
#   make bench-sources             400 videos read by real models of speech and screen text, an hour or two
#   make robustness                attacks on the search, and defences, of docs/robustness.md: what is missing, and its tables
#   make study                     the controlled study of docs/study.md: what is missing of its runs, and the report

PYTHON ?= python3
TORCH ?= torch==2.13.0
DEMO_ARGS ?=
# Where the weights of real models are kept from one checkout to the next.
TEST_MODELS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/video_colbert_test_models
VENV := .venv
DATASETS36 := .venv-datasets36
TIMM := .venv-timm
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow test-gpu test-models test-app test-mteb test-timm test-datasets36 test-transformers docs check format bench bench-sources study robustness setup setup-dev setup-bench setup-ray setup-speech setup-screen-text setup-app setup-browser-test setup-mteb setup-docs clean

setup: $(VENV)/.installed-train
setup-dev: $(VENV)/.installed-dev
setup-bench: $(VENV)/.installed-bench
setup-ray: $(VENV)/.installed-ray
setup-speech: $(VENV)/.installed-speech
setup-screen-text: $(VENV)/.installed-screen-text
setup-app: $(VENV)/.installed-app
setup-browser-test: $(VENV)/.installed-browser-test
setup-mteb: $(VENV)/.installed-mteb
setup-docs: $(VENV)/.installed-docs

# A torch that PYTHON already has is seen through a .pth file and left as it is.
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	if $(PYTHON) -c 'import torch' 2>/dev/null; then \
	    $(PYTHON) -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])' \
	        > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/existing_torch.pth"; \
	else \
	    $(PIP) '$(TORCH)'; \
	fi
	touch $@

$(VENV)/.installed-%: $(VENV)/.torch pyproject.toml
	$(PIP) --editable '.[$*]'
	touch $@

# Without this package and without torch: the builders must run as files of their own.
$(DATASETS36)/.installed:
	$(PYTHON) -m venv $(DATASETS36)
	$(DATASETS36)/bin/python -m pip install --quiet --disable-pip-version-check 'datasets==3.6.0' av numpy tqdm
	touch $@

$(TIMM)/.installed: $(VENV)/.installed-dev tests/install_timm.py
	$(BIN)/python tests/install_timm.py $(TIMM)
	touch $@

demo: setup setup-app
	$(BIN)/python benchmarks/demo.py $(DEMO_ARGS)

# A file's tests stay in one process, since they share what is made once a file. The longest files come first, as
# tests/conftest.py sorts them. Each process holds a torch. There is one more than there are cores, since tests wait for
# processes that they start.
test: setup-dev
	PYTEST_XDIST_AUTO_NUM_WORKERS=$$($(BIN)/python -c 'import os; print(min(4, os.cpu_count() + 1))') \
	    $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-slow: setup-dev setup-ray
	$(BIN)/python -m pytest -m slow

test-gpu: setup-dev
	$(BIN)/python -m pytest -m gpu

test-models: setup-dev
	VIDEO_COLBERT_TEST_MODELS=$(TEST_MODELS) $(BIN)/python -m pytest -m models

# Debian's Chromium where apt can install it, else the one that Playwright brings; its tests are skipped without.
test-app: setup-dev setup-browser-test
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium) >/dev/null 2>&1 \
	    || $(BIN)/python -m playwright install chromium \
	    || echo "no Chromium can be installed here; the tests of the page are skipped" >&2
	$(BIN)/python -m pytest -m browser

test-mteb: setup-dev setup-mteb
	$(BIN)/python -m pytest tests/evaluation/mteb_models tests/commands/test_evaluate_mteb.py

test-timm: setup-dev $(TIMM)/.installed
	$(TIMM)/bin/python -m pytest -k pe_ tests/modeling_video_colbert tests/encoding/stored_model/test_query_model.py \
	    tests/training/test_optimization.py tests/test_portability.py

test-datasets36: setup-dev $(DATASETS36)/.installed
	VIDEO_COLBERT_DATASETS36_PYTHON=$(CURDIR)/$(DATASETS36)/bin/python $(BIN)/python -m pytest tests/datasets36

# Their marks are not ours, and they bring many.
test-transformers: setup-dev
	$(BIN)/python tests/transformers_common/fetch_common_tests.py
	$(BIN)/python -m pytest -o addopts='--import-mode=importlib -q' -m transformers tests/transformers_common

# It runs the notebook. What is said of the theme's future is for who maintains this, not for every build.
docs: setup-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A voice comes from Debian's espeak-ng, where it can be installed; tests that need one are skipped else.
test-models bench bench-sources: test-model-files

.PHONY: test-model-files
test-model-files: setup-dev setup-speech setup-screen-text
	$(BIN)/python tests/text/fetch_models.py $(TEST_MODELS)
	command -v espeak-ng >/dev/null || (apt-get update -qq && apt-get install -y -qq espeak-ng) >/dev/null 2>&1 || true

bench: setup-bench
	missed=; for script in $(filter-out %/bench_sources.py,$(wildcard benchmarks/bench_*.py)); do \
	    VIDEO_COLBERT_TEST_MODELS=$(TEST_MODELS) $(BIN)/python $$script || missed="$$missed $$script"; \
	done; [ -z "$$missed" ] || { echo "a target was missed, or the script failed:$$missed" >&2; exit 1; }

bench-sources: setup-bench
	$(BIN)/python benchmarks/bench_sources.py

study: setup-bench
	$(BIN)/python benchmarks/study/run_study.py
	$(BIN)/python benchmarks/study/run_long_study.py
	test -d runs/demo/training/best || $(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/study/run_sources_study.py

# Training takes about half an hour on one core, the attacks another half.
robustness: setup-bench
	$(BIN)/python benchmarks/run_robustness.py

clean:
	rm -rf $(VENV) $(DATASETS36) $(TIMM) .transformers-tests runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
