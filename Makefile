# SPDX-License-Identifier: MIT
# The short way to everything; meson.build holds the build itself.
#   make up      install what is missing, build, start, take the sample from git push to live
#   make demo    three deployments under load: good, unhealthy, crashing
#   make check   every test      make soak    the long ones      make bench   measurements
#   make mutate  breaks the core in some 250 ways; the tests have to notice each
#   make coverage  which lines and branches of the core no test reaches
#   make build   only the programs that people use; make all: the tests' and benchmarks', too
#   make install to PREFIX (default /usr/local), with a systemd unit
#   make down    stop what `up` started (PURGE=1: and remove its data)

BUILD := build
PREFIX ?= /usr/local
NARU := $(BUILD)/naru
# A person sees how far the compiler is; a log does not need 500 lines of that.
NINJA := ninja -C $(BUILD) $(shell test -t 2 || echo --quiet)

.PHONY: all build up demo down check soak mutate coverage bench install fuzz clean

all: build
	@$(NINJA)

build:
	@tools/packages build
	@test -f $(BUILD)/build.ninja || CC=gcc meson setup $(BUILD) --prefix=$(PREFIX) >/dev/null
	@$(NINJA) naru naru-demo naru-sim

up: build
	@$(NARU) up --sample examples/my-app

demo: build
	@tools/demo $(BUILD)

down: build
	@$(NARU) down $(if $(PURGE),--purge)

check:
	@tools/packages test
	@tools/check

soak: all
	@tools/packages test
	@tools/soak $(BUILD)

mutate: all
	@/usr/bin/python3 tools/mutate --build $(BUILD)

coverage:
	@tools/packages build
	@/usr/bin/python3 tools/coverage

bench: all
	@tools/packages bench
	@/usr/bin/python3 bench/bench.py --naru $(NARU)

install: build
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD) build-check-*
