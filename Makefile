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

# the same load through conntrackd and through flowkeepd (bench/RESULTS.md); as root, bounded, in namespaces
bench: all conntrackd
	FK_BUILD=$(abspath $(BUILD)) python3 bench/run.py

bench-quick: all conntrackd
	FK_BUILD=$(abspath $(BUILD)) python3 bench/run.py --quick --out $(abspath $(BUILD))

# Not in packages.txt: on a gateway its service would begin to run.
conntrackd:
	@command -v conntrackd >/dev/null || { echo "the benchmark needs Debian's conntrackd (only the program;" \
		"its service may be masked): apt-get install conntrackd"; exit 1; }

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

.PHONY: all demo test test-unit bench bench-quick conntrackd install clean deps
