#!/bin/bash
# The second half of `make demo`, as a test (its first half is 14-no-pickup).
DEMO_PART=pickup exec bash "$(dirname "$0")/demo.sh"
