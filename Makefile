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

# A build knows its prefix from its first setup; installing it elsewhere would mix the two.
install: build
	@grep -qxF 'prefix = $(PREFIX)' $(BUILD)/meson-private/cmd_line.txt || { echo "$(BUILD)/ was not set up for" \
		"PREFIX=$(PREFIX); use a folder of its own: make install BUILD=build-local PREFIX=$(PREFIX)" >&2; exit 1; }
	@DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD) build-* web/dist
