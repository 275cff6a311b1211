# The two commands are `make site` and `make test`; the rest are their parts.
#   make site ARGS="--check --diff"        arguments go to ansible-playbook
#   make test                              everything that this machine can run
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV ?= .venv
DEV_VENV ?= .venv-dev
ARGS ?=
# Ansible ignores an ansible.cfg in a world-writable directory; naming it keeps plugins found.
export ANSIBLE_CONFIG ?= $(CURDIR)/ansible.cfg

.PHONY: help docs site test test-full lint unit molecule vm requirements venv dev clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-22s %s\n", $$1, $$2 }'

site: venv ## take the machines of the inventory (by default this one) to a verdict
	@$(VENV)/bin/ansible-playbook site.yml $(ARGS)

.PHONY: plan support-bundle
plan: venv ## what would be done to which nodes, and why; nothing is touched
	@$(VENV)/bin/ansible-playbook playbooks/plan.yml $(ARGS)

support-bundle: venv ## one archive for a bug report, without secrets; nothing is changed
	@$(VENV)/bin/ansible-playbook playbooks/support_bundle.yml $(ARGS)

test: dev ## run every layer of tests that this machine can run
	@$(DEV_VENV)/bin/python tools/test $(if $(STRICT),--strict)

test-full: dev ## the same, the unit tests on the newest ansible-core, and the long scenarios
	@$(DEV_VENV)/bin/python tools/test --full

lint: dev ## ruff, mypy and ansible-lint
	@$(DEV_VENV)/bin/python tools/test ruff format mypy ansible-lint

unit: dev ## pytest, without a container
	@$(DEV_VENV)/bin/python tools/test stack unit playbooks

molecule: dev ## three systemd nodes over SSH
	@$(DEV_VENV)/bin/python tools/test molecule

vm: dev ## one true reboot in an emulated machine: 10 minutes, and as long once for its image
	@$(DEV_VENV)/bin/python tools/test vm

.PHONY: kill-matrix
kill-matrix: dev ## converges killed at twenty points, each made up for by the next run: an hour
	@$(DEV_VENV)/bin/python tools/kill_matrix $(ARGS)

requirements: dev ## recompile the hash-locked requirements from their .in files
	@PATH="$(DEV_VENV)/bin:$$PATH" tools/compile-requirements

venv:
	@TORCHNODE_VENV="$(VENV)" tools/bootstrap runtime

dev:
	@TORCHNODE_VENV="$(DEV_VENV)" tools/bootstrap dev

docs: dev ## write the pages of variables, troubleshooting and verdict rules anew from the code
	@$(DEV_VENV)/bin/python tools/variables_doc.py
	@$(DEV_VENV)/bin/python tools/troubleshooting_doc.py
	@$(DEV_VENV)/bin/python tools/verdict_rules_doc.py

clean: ## remove the environments and caches, never reports
	rm -rf .venv .venv-* .cache .ansible .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Locks: torch builds that ship with one, and any other build against an index of yours.
.PHONY: lock locks
locks: dev ## remake every hash lock that ships with the project
	@$(DEV_VENV)/bin/python tools/lock.py shipped

lock: dev ## lock one build: make lock TORCH=2.13.0 TAG=cu126 PYTHON=3.12 [BACKEND=npu] [MACHINE=] [EXTRA=] [INDEX=] [OUTPUT=]
	@$(DEV_VENV)/bin/python tools/lock.py one --torch "$(TORCH)" --tag "$(TAG)" --python "$(PYTHON)" \
	  $(if $(BACKEND),--backend "$(BACKEND)") $(if $(MACHINE),--machine "$(MACHINE)") \
	  $(if $(EXTRA),--extra "$(EXTRA)") $(if $(INDEX),--index "$(INDEX)") $(if $(OUTPUT),--output "$(OUTPUT)")

.PHONY: benchmark
benchmark: dev ## measure the speed beside other tools', all on this machine: minutes, podman
	@$(DEV_VENV)/bin/python benchmarks/run.py $(ARGS)
