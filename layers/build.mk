# Shared by the makefiles with which `sam build` makes layers and functions. SAM runs them by their own path, on a copy
# of their folder, with ARTIFACTS_DIR in the environment.
#
#   ARCH            arm64 (default, as the template's Architecture) or x86_64
#   RUNTIME_PYTHON  the Python to build for: 3.13, the template's Runtime; another one only for local runs

ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
ARCH ?= arm64
RUNTIME_PYTHON ?= 3.13

UV := $(firstword $(wildcard $(ROOT)/.venv/bin/uv) $(shell command -v uv 2>/dev/null))
# Asked from the project's folder, where .python-version tells pyenv and uv the same. Its real path, not a shim's.
PYTHON := $(shell cd '$(ROOT)' && '$(UV)' python find --no-python-downloads --no-project '$(RUNTIME_PYTHON)' 2>/dev/null)

# Wheels for Amazon Linux 2023 (glibc 2.34); 2.28 runs on older machines too.
ifeq ($(ARCH),arm64)
  PLATFORM := aarch64-manylinux_2_28
else ifeq ($(ARCH),x86_64)
  PLATFORM := x86_64-manylinux_2_28
else
  $(error ARCH is '$(ARCH)'; it must be arm64 or x86_64)
endif

# Copies the sources of a package, folders and all, and nothing else that may lie beside them. $(1): the package.
define copy-package
mkdir -p '$(ARTIFACTS_DIR)/python'
find '$(1)' -type f \( -name '*.py' -o -name py.typed \) | tar -cf - -T - | tar -xf - -C '$(ARTIFACTS_DIR)/python'
endef

# Byte code goes along: /opt and /var/task are read-only in Lambda, so every cold start would compile everything again.
# unchecked-hash: valid whatever the files' times are, which a deployment changes. $(1): where the files will lie.
define compile
$(if $(PYTHON),\
  '$(PYTHON)' -m compileall -q -j 0 --invalidation-mode unchecked-hash -s '$(ARTIFACTS_DIR)' -p '$(1)' '$(ARTIFACTS_DIR)',\
  @echo 'NOTE: no Python $(RUNTIME_PYTHON) on this machine: built WITHOUT byte code, cold starts will take longer.')
endef
