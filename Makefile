# Two targets are all a newcomer needs: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
COMPRESS := .venv-compress
RUN := $(VENV)/bin/python

.PHONY: help demo test test-fast test-containers matrix differential bench lint fmt map types lock install install-test messages clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: ## create the environments: site and worker, and llmcompressor in its own
	@$(PYTHON) requirements/install.py demo=$(VENV) baseline=$(COMPRESS)

install-test:
	@$(PYTHON) requirements/install.py dev=$(VENV) baseline=$(COMPRESS)
	@$(PYTHON) requirements/system.py

demo: ## run a whole contest on this machine; ONCE=1 prints the board and stops
	@test -e $(VENV)/.paretoboard || $(MAKE) --no-print-directory install
	@exec $(RUN) manage.py demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

test: install-test ## everything: lint, types, contracts, unit, integration, vLLM, browser
	@$(RUN) tests/run.py

test-fast: install-test ## the same without vLLM, llmcompressor and the browser
	@$(RUN) tests/run.py --fast

matrix: install-test ## architectures × schemes: check beside the real engine; MATRIX="phi3 qwen3": some
	@$(RUN) -m tests.matrix $(MATRIX)

differential: install-test ## the checker beside the engine's own reading of some hundred quantization configs
	@$(RUN) -m tests.differential

test-containers: install-test ## build the images, run the compose stack, grade an entry in it (an hour)
	@$(RUN) -m pytest -q -p no:randomly tests/containers/test_site.py tests/containers/test_backup.py \
	  tests/containers/test_grading.py

bench: install-test ## all benches, or BENCH=name
	@$(RUN) -m tests.bench $(BENCH)

lint:
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/djangofmt --check templates && $(VENV)/bin/lint-imports

fmt:
	@$(VENV)/bin/ruff check --fix . ; $(VENV)/bin/ruff format . ; $(VENV)/bin/djangofmt templates

map: ## rooms, imports between them and floors of each package; ROOMS=1 names them
	@$(RUN) tests/import_map.py $(if $(ROOMS),--rooms)

types:
	@$(VENV)/bin/mypy

lock: ## resolve requirements/*.txt anew from pyproject.toml
	@$(PYTHON) requirements/lock.py

messages: ## extract and compile the Korean texts
	@$(RUN) manage.py makemessages -l ko --no-obsolete --no-location --no-wrap \
	  $(foreach f,.venv .venv-compress var artifacts tests docs docker grader baseline requirements,--ignore=$(f))
	@$(RUN) manage.py compilemessages --ignore=.venv --ignore=.venv-compress

clean: ## remove the demo's data; the environments stay
	@rm -rf var artifacts
