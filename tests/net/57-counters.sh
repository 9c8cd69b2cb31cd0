#!/bin/bash
# The counters of diagnose sys session sync: every one is there, on each member, and those of a life that was lived move:
# sessions that open, change and end, a member that joins late, a link that falls silent, garbage on the segment.
. "$(dirname "$0")/lib.sh"

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
# Who knocks on port 9 changes the mark of its session with every packet.
OPERATOR_RULES='table ip marks { chain forw { type filter hook forward priority 10;
	udp dport 9 ct mark set numgen inc mod 100000 offset 1; }; }'
lab_new A B
ns sv nft add table inet quiet
ns sv nft add chain inet quiet in '{ type filter hook input priority 0; }'
ns sv nft add rule inet quiet in udp dport '{ 9, 20000-59999 }' drop

count() { fk "$1" --json diagnose sys session sync | jq ".$2 // 0"; }
counts() { (($(count "$1" "$2") > ${3:-0})); } # counts A KEY [MORE-THAN]
flood() { ns cl "$NET_DIR/tools/flood.py" "10.1.0.10,$1" 10.2.0.10 "${@:2}"; } # flood SPORT PORT COUNT [NEXT]

KEYS='differing unacked_ms proven_ms overruns events_unparsed gaps walks ranges dumps
	sync.created sync.create_failed sync.updated sync.update_failed sync.deleted sync.delete_failed
	store.created store.updated store.deleted store.create_failed
	copies.created copies.create_failed copies.updated copies.update_failed copies.deleted copies.delete_failed
	copies.retried copies.cleared
	pressure.level pressure.socket_percent pressure.late_ms pressure.shed_refreshes pressure.shed_new
	pressure.table_full pressure.owed pressure.dumps
	frames.sent frames.bytes_sent frames.received frames.bytes_received frames.at_once frames.on_timer
	frames.no_link frames.send_errors frames.receive_dropped
	requests.asks_sent requests.asks_heard requests.asks_ignored
	requests.acks_sent requests.acks_failed requests.acks_heard requests.acks_refused
	bulk.walks_served bulk.frames_sent bulk.records_sent bulk.walks_taken bulk.frames_heard bulk.records_heard
	refused.lost refused.malformed refused.bad_type refused.bad_version refused.bad_value refused.bad_state
	refused.bad_auth refused.stale refused.no_memory
	links.silent links.probes links.probes_answered links.probes_blind'
missing_at() { # missing_at A: the keys that its answer lacks
	local answer=$(fk "$1" --json diagnose sys session sync)

	[ -n "$answer" ] || echo "any: no answer"
	jq -r --arg keys "$KEYS" '. as $all |
		$keys | gsub("\\s+"; " ") | split(" ")[] | split(".") as $path |
		select(($all | getpath($path[:-1]) | has($path[-1])) | not) | ($path | join("."))' <<<"$answer"
}

start_gw A
need "A serves alone" eventually 30 says_primary A A
flood 41000 9 20 20000
need "A knows its sessions" eventually 20 counts A store.created 2
tell "B joins late: it is told in bulk"
start_gw B
need "B is proven equal" eventually 30 eval '[ "$(count A "members[0].ready")" = true ]'
for key in requests.asks_heard requests.acks_heard bulk.walks_served bulk.frames_sent bulk.records_sent; do
	claim "A counted $key ($(count A $key))" counts A $key
done
for key in requests.asks_sent requests.acks_sent bulk.walks_taken bulk.frames_heard bulk.records_heard copies.created; do
	claim "B counted $key ($(count B $key))" counts B $key
done
for gw in A B; do
	missing=$(missing_at $gw | xargs)
	claim "every counter is there on $gw${missing:+, but not $missing}" test -z "$missing"
done

tell "sessions open in a stream, one changes, one ends"
flood 42000 9 2000 30000
ns gwA conntrack -D -p udp --sport 42000 --dport 30000 >/dev/null 2>&1
claim "changes left at once" eventually 20 counts A frames.at_once
claim "and digests on the timer" eventually 20 counts A frames.on_timer
for key in sync.created sync.updated store.created store.updated frames.sent frames.received; do
	claim "A counted $key ($(count A $key))" eventually 20 counts A $key
done
claim "created is what B had not heard of, not every record" test "$(count A sync.created)" -le 300
for key in sync.deleted store.deleted; do claim "A counted $key" eventually 20 counts A $key; done
for key in recv.created recv.updated recv.deleted copies.updated copies.deleted; do claim "B counted $key" eventually 20 counts B $key; done
claim "bytes are more than frames" test "$(count A frames.bytes_sent)" -gt "$(($(count A frames.sent) * 40))"

tell "garbage on the segment of the heartbeats"
before=$(count A refused.malformed)
ns sw ip link add stranger type veth peer name stranger-sw
ns sw ip link set stranger-sw master br-hb1 up
ns sw ip link set stranger up
ns sw python3 "$NET_DIR/tools/garbage.py" stranger 2 >/dev/null
claim "malformed frames are counted" eventually 10 counts A refused.malformed "$before"
claim "and forged ones" eventually 10 eval '(($(count A "refused | .bad_auth + .stale + .bad_value + .bad_state") > 0))'

tell "B is not heard on hb1 any more"
before=$(count A links.silent)
ip -n sw link set gwB-hb1 down
claim "a link that fell silent is counted" eventually 20 counts A links.silent "$before"
claim "and A is primary as before" primary_is A
finish
