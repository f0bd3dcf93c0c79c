# SPDX-License-Identifier: MIT
# The short way to everything; meson.build holds the build itself.
#   make up      install what is missing, build, start, take the sample from git push to live
#   make demo    three deployments under load: good, unhealthy, crashing
#   make check   every test      make soak    the long ones      make bench   measurements
#   make mutate  breaks the core in two hundred ways; the tests have to notice each
#   make coverage  which lines and branches of the core no test reaches
#   make build   only the build  make install to PREFIX (default /usr/local), with a systemd unit
#   make down    stop what `up` started (PURGE=1: and remove its data)

BUILD := build
PREFIX ?= /usr/local
NARU := $(BUILD)/naru

.PHONY: all build up demo down check soak mutate coverage bench install fuzz clean

all: build

build:
	@tools/packages build
	@test -f $(BUILD)/build.ninja || CC=gcc meson setup $(BUILD) --prefix=$(PREFIX) >/dev/null
	@ninja -C $(BUILD) --quiet

up: build
	@$(NARU) up --sample examples/my-app

demo: build
	@tools/demo $(BUILD)

down: build
	@$(NARU) down $(if $(PURGE),--purge)

check:
	@tools/packages test
	@tools/check

soak: build
	@tools/packages test
	@tools/soak $(BUILD)

mutate: build
	@/usr/bin/python3 tools/mutate --build $(BUILD)

coverage:
	@tools/packages build
	@/usr/bin/python3 tools/coverage

bench: build
	@tools/packages bench
	@/usr/bin/python3 bench/bench.py --naru $(NARU)

install: build
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD) build-check-*
