#!/bin/bash
# The frozen primary once more, by a user without any power over the host: nobody, in a user namespace, muting by
# nftables instead of BPF. The thawed one does not forward a packet there either. Without real-time priority the
# heartbeats are those of a machine that is busy with other things: 100 ms, of which 8 may be missing.
here=$(cd "$(dirname "$0")" && pwd)
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
if [ -z "${FK_INSIDE:-}" ] && [ "$(id -u)" = 0 ]; then
	# A checkout or build that nobody may read: a user namespace of root, which is as powerless.
	"${nobody[@]}" test -x "${FK_BUILD:-$here/../../build}/flowkeepd" -a -r "$here/lib.sh" 2>/dev/null &&
		exec "${nobody[@]}" bash "$here/${0##*/}" "$@"
	export FK_ROOTLESS=1
fi
. "$here/lib.sh"

mute_of() { ns "gw$1" nft list set netdev flowkeep_mute "$(ns "gw$1" nft -j list sets netdev |
	jq -r '[.nftables[].set? | select(. and .table == "flowkeep_mute") | .name][0]')"; }
has_bpf() { tc -n "gw$1" filter show dev in ingress 2>/dev/null | grep -q bpf; }

ha hb-interval 10
ha hb-lost-threshold 8
lab_new A B
lab_hub
carry some_flows A B
claim "muting is nftables' affair here" eval 'mute_of B | grep -q flowkeep_mute && ! has_bpf B'
need "the members are old enough for age to count" eventually 10 grown_up A
tell "SIGSTOP to the daemon of A"
freeze_gw A
claim "B is primary" eventually 6 primary_is B
claim "only B forwards" eventually 3 forwards_alone B
before=$(emitted A)
claim "the frozen A does not forward a packet" stays 0.5 emitted_still A "$before"
tell "SIGCONT to the daemon of A"
thaw_gw A
claim "the thawed A does not either" stays 2 emitted_still A "$before"
claim "the thawed A takes B for the primary" eventually 5 primary_is B
claim "still only B forwards" eventually 1 forwards_alone B
claim_survival "rootless: primary's daemon frozen" 3000
finish
