# make demo   fresh machine to result: learn geometry with the bundled tiny model
# make test   fresh machine to verdict: lint, types and the whole test suite
#
# Without a GPU, plain pip fetches gigabytes of CUDA with torch. To avoid it, name PyTorch's CPU index
# (pytorch.org, "Get Started"):  make demo TORCH_PIP_ARGS="--index-url <that address>"

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:

PYTHON ?= python3
VENV := .venv
BIN := $(abspath $(VENV))/bin
TORCH_PIP_ARGS ?=
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

.PHONY: demo test clean

demo: $(VENV)/.installed
	bash benchmarks/demo.sh "$(LAUNCH)"

test: $(VENV)/.installed $(VENV)/.test-installed
	ruff check
	ruff format --check
	mypy
	pytest --numprocesses 2 --dist loadgroup

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
		|| echo "torchvision is not to be had here: its parity test will be skipped"
	touch $@

clean:
	rm -rf $(VENV) runs data/synthetic
