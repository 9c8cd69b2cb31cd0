#!/bin/bash
# 39-flush-bpf.sh where nftables mutes: the flush takes the mute itself, until the daemon has put it back. That takes
# the kernel some RCU grace periods, about 20 ms; the limit is a fifth of a second of all that the streams say.
MUTE=nft LEAK=1000 HB=10 LOST=10 exec bash "$(dirname "$0")/39-flush-bpf.sh" "$@"
