# Front door. Everything is forwarded to meson and the scripts in tools/.
BUILD   ?= build
PREFIX  ?= /usr
DESTDIR ?=
MESON   ?= meson

.PHONY: all setup setup-tests build run test lint bench fuzz clean install

all: build

setup:
	@tools/setup.sh

setup-tests:
	@tools/setup.sh --tests

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) --prefix=$(PREFIX) --buildtype=release

build: $(BUILD)/build.ninja
	@$(MESON) compile -C $(BUILD)
	@DESTDIR=$(CURDIR)/$(BUILD)/stage $(MESON) install -C $(BUILD) --no-rebuild --quiet

run: setup build
	@$(BUILD)/stage$(PREFIX)/bin/securectl up

test: setup-tests build
	@tools/test.sh $(BUILD)

lint:
	@tools/setup.sh --lint
	@tools/lint.sh $(BUILD)

bench: setup-tests build
	@tools/bench.sh $(BUILD)

fuzz:
	@tools/setup.sh --fuzz
	@tools/fuzz.sh

install: build
	@DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD) build-* web/dist
