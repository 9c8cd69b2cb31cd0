# the front door: `make`, `make demo`, `make test`; Meson does the work behind it
BUILD ?= build

all: deps $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja: | deps
	meson setup $(BUILD)

demo: all
	@FK_BUILD=$(abspath $(BUILD)) bash tests/net/demo.sh --narrate

test: all
	python3 tests/run

test-unit: all
	meson test -C $(BUILD) --suite unit --print-errorlogs

install: all
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) build-asan

# Installs what packages.txt names and dpkg does not know; without root it says how.
deps:
	@command -v dpkg-query >/dev/null || { echo "not a Debian: see packages.txt for what is needed"; exit 0; }; \
	have=$$(dpkg-query -W -f='$${Status} $${Package}\n' $$(cat packages.txt) 2>/dev/null | \
		sed -n 's/^install ok installed //p'); \
	missing=; for p in $$(cat packages.txt); do \
		echo "$$have" | grep -qx -- "$$p" || missing="$$missing $$p"; done; \
	[ -n "$$missing" ] || exit 0; \
	[ "$$(id -u)" = 0 ] || { echo "missing packages; run:"; \
		echo "  sudo apt-get install -y --no-install-recommends$$missing"; exit 1; }; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -q && apt-get install -q -y --no-install-recommends $$missing

.PHONY: all demo test test-unit install clean deps
