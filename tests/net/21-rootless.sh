#!/bin/bash
# The same without power over the host: a user namespace, muting by nftables instead of BPF.
FK_ROOTLESS=1 exec bash "$(dirname "$0")/01-kill.sh" "$@"
