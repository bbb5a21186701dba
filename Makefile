# The two commands of the README are `make demo` and `make test`. Both install what they need and can be repeated.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
KBOOTSTRAP := $(BIN)/kbootstrap
INVENTORY := inventories/lab.yml
FETCH := $(KBOOTSTRAP) artifacts fetch --kubernetes
KUBERNETES = $(shell sed -n 's/^ *kubernetes: //p' $(INVENTORY))
NEWER = $(shell sed -n 's/^NEWER = "\(.*\)"/\1/p' tests/e2e/test_upgrade.py)

RUN_PACKAGES := python3 python3-venv openssh-client ca-certificates iproute2 procps
LAB_PACKAGES := mmdebstrap systemd-container openssh-client iproute2 procps util-linux
BUILD_PACKAGES := git gcc libc6-dev pkg-config libseccomp-dev
VAGRANT_PACKAGES := vagrant vagrant-libvirt libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 \
  qemu-utils dnsmasq-base iptables passwd
TEST_PACKAGES := openssh-server sudo nftables nginx-light libnginx-mod-stream keepalived shellcheck systemd openssl

.PHONY: help demo demo-down test check unit e2e test-backups test-drills test-load-balancers test-mixed test-upgrades test-vagrant bench lock clean lab-packages test-packages

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

$(VENV)/.installed: requirements.lock pyproject.toml scripts/make-venv
	@scripts/install-packages $(RUN_PACKAGES)
	@scripts/make-venv $(VENV)
	@touch $@

lab-packages:
	@scripts/install-packages $(LAB_PACKAGES) $(BUILD_PACKAGES)

test-packages:
	@scripts/install-packages $(TEST_PACKAGES)

demo: $(VENV)/.installed lab-packages ## Five test hosts on this machine, a highly available cluster on them, verified
	@$(KBOOTSTRAP) lab up
	@$(KBOOTSTRAP) up -i $(INVENTORY)
	@$(KBOOTSTRAP) status -i $(INVENTORY)
	@$(KBOOTSTRAP) verify -i $(INVENTORY)

demo-down: $(VENV)/.installed ## Take the demo's hosts away again
	@$(KBOOTSTRAP) lab down

test: ## Every check and test, the quick ones first
	@$(MAKE) --jobs=2 --output-sync check unit
	@$(MAKE) e2e

check: $(VENV)/.installed test-packages ## Lint, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@shellcheck scripts/install-packages scripts/make-venv .ci/run

unit: $(VENV)/.installed test-packages ## Unit and golden tests
	@$(BIN)/pytest --numprocesses=auto tests/unit tests/golden

e2e: $(VENV)/.installed lab-packages test-packages ## Tests on real hosts of the lab (as root)
	@[ "$$(id -u)" = 0 ] || { echo "the lab's hosts need root" >&2; exit 1; }
	@$(FETCH) $(KUBERNETES)
	@$(FETCH) $(NEWER)
	@$(BIN)/pytest -m "not long" tests/e2e

test-backups: $(VENV)/.installed lab-packages test-packages ## Backups with a real object store, and restores, on hosts of their own
	@scripts/install-packages rclone
	@$(FETCH) $(KUBERNETES)
	@$(BIN)/pytest -m long tests/e2e/test_backup.py tests/e2e/test_backup_members.py \
	  tests/e2e/test_backup_load.py tests/e2e/test_restore.py

test-drills: $(VENV)/.installed lab-packages test-packages ## Every failover drill, and that each can fail, on hosts of their own
	@$(FETCH) $(KUBERNETES)
	@$(BIN)/pytest -m long tests/e2e/test_drills.py tests/e2e/test_drills_fail.py \
	  tests/e2e/test_schedules.py tests/e2e/test_drills_tier.py

test-load-balancers: $(VENV)/.installed lab-packages test-packages ## Two load balancers, applications, a power cut, on hosts of their own
	@$(FETCH) $(KUBERNETES)
	@$(FETCH) $(NEWER)
	@$(BIN)/pytest -m long tests/e2e/test_load_balancers.py tests/e2e/test_upgrade_tier.py

test-mixed: $(VENV)/.installed lab-packages test-packages ## Load balancers as virtual machines, LVS on a kernel that has it
	@scripts/install-packages qemu-system-x86
	@$(FETCH) $(KUBERNETES)
	@$(FETCH) $(NEWER)
	@$(BIN)/pytest -m long tests/e2e/test_mixed_lab.py

test-upgrades: $(VENV)/.installed lab-packages test-packages ## Minor by minor through four versions: each is minutes of building
	@for version in $$(sed -n 's/^PATH = (\(.*\))/\1/p' tests/e2e/test_upgrade_path.py | tr -d '",'); do \
	  $(KBOOTSTRAP) artifacts fetch --kubernetes "$$version"; done
	@$(BIN)/pytest -m long tests/e2e/test_upgrade_path.py

test-vagrant: $(VENV)/.installed lab-packages ## Machines that Vagrant makes, with a libvirt of their own, and a cluster on them
	@scripts/install-packages $(VAGRANT_PACKAGES)
	@$(FETCH) $(KUBERNETES)
	@$(BIN)/pytest tests/vagrant/test_validate.py tests/vagrant/test_cluster.py tests/vagrant/test_topologies.py

bench: $(VENV)/.installed lab-packages ## Speed, as ratios to the same work done by other means
	@$(BIN)/python benchmarks/run.py

lock: ## Write requirements.lock anew from pyproject.toml
	@scripts/make-lock

clean: ## Remove what the targets made in this folder
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
