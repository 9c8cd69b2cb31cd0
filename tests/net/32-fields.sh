#!/bin/bash
# Every field of a copy: zone, helper, window scale, TCP flags, start time, mark, labels are the owner's. Copies that
# somebody removes from the secondary are put back, and the primary never hears of it; what the operator deletes on
# the primary is deleted everywhere. The control: `conntrack -D` on a gateway without daemon stays done.
. "$(dirname "$0")/lib.sh"
OPERATOR_RULES='table inet operator_fields {
	ct helper ftp { type "ftp" protocol tcp; l3proto ip; }
	chain zones {
		type filter hook prerouting priority raw;
		iifname "in" ip saddr 10.1.0.10 tcp sport 40005 ct zone set 5
		iifname "out" ip daddr 10.1.0.10 tcp dport 40005 ct zone set 5
	}
	chain assign {
		type filter hook prerouting priority mangle;
		tcp sport 40006 ct state new ct helper set "ftp"
		tcp sport 40007 ct state new ct mark set 0x77 ct label set 3
	}
}'

# fields_of A PORT FILTER: from the session whose client has that port, as the kernel has it
fields_of() {
	ns "gw$1" python3 "$NET_DIR/tools/conntrack.py" dump |
		jq -c "select(.orig.proto.sport == $2 and .orig.proto.dport == 80) | $3"
}
field_is() { [ "$(fields_of "$1" "$2" "$3")" = "$4" ]; } # field_is A PORT FILTER VALUE
same_field() { # same_field PORT FILTER: A and B have it alike, and they have it
	local ours

	ours=$(fields_of A "$1" "$2")
	[ -n "$ours" ] && [ "$ours" != null ] && [ "$ours" = "$(fields_of B "$1" "$2")" ]
}
duration_of() { # duration_of A PORT: seconds, as the daemon shows them
	fk "$1" --json diagnose sys session list |
		jq "[.sessions[] | select(.source == \"10.1.0.10:$2\") | .duration][0] // -1"
}
same_start() {
	local ours=$(duration_of A "$1") theirs=$(duration_of B "$1")

	((ours >= 2 && theirs >= 0 && ours - theirs <= 1 && theirs - ours <= 1))
}
sent_deletes() { fk B --json diagnose sys session sync | jq .sync.deleted; }
gone_on() { not has_session "$@"; }
MARK='(.mark % 2147483648)' # beyond the copy bit
# WINDOW_SCALE, SACK_PERM and CLOSE_INIT: the low digit without BE_LIBERAL, which an update of a copy sets.
FLAGS='[.protoinfo.tcp | .flags_orig, .flags_reply | .[1:2] | {"8": "0", "9": "1", "a": "2", "b": "3"}[.] // .]'

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
start_server
start_cluster A B
for port in 40004 40005 40006 40007 40008; do flow tcp$port echo --from 10.1.0.10,$port 10.2.0.10; done
await_flows
need "copied" eventually 5 same_sessions A B
claim "the zone is the owner's" eventually 3 same_field 40005 .zone
claim "and it is 5" field_is B 40005 .zone 5
claim "no zone elsewhere" field_is B 40004 .zone null
claim "the helper is the owner's" eventually 3 same_field 40006 .help.name
claim "and it is ftp" field_is B 40006 .help.name '"ftp"'
claim "the mark is the owner's, 0x77" field_is B 40007 "$MARK" 119
claim "the labels are the owner's" eventually 3 same_field 40007 .labels
claim "the window scales are the owner's" same_field 40004 '[.protoinfo.tcp | .wscale_orig, .wscale_reply]'
claim "and not those of a session without" not field_is B 40004 .protoinfo.tcp.wscale_orig 0
claim "the TCP flags are the owner's" same_field 40004 "$FLAGS"
claim "and they are there: scale and SACK" field_is B 40004 "$FLAGS" '["3","3"]'
claim "the TCP state is the owner's" same_field 40004 .protoinfo.tcp.state
sleep 2 # a start two seconds ago differs from one now
claim "the start is the owner's" same_start 40004

tell "the operator flushes the secondary"
copies=$(sessions_of B)
ns gwB conntrack -F 2>/dev/null
claim "every copy is put back" eventually 3 same_sessions A B
claim "as it was" test "$(sessions_of B)" = "$copies"
claim "the zone too" field_is B 40005 .zone 5
claim "the helper too" field_is B 40006 .help.name '"ftp"'
claim "the mark too" field_is B 40007 "$MARK" 119
claim "the labels too" same_field 40007 .labels
claim "the window scales too" same_field 40004 '[.protoinfo.tcp | .wscale_orig, .wscale_reply]'
ns gwB conntrack -D -p tcp --orig-port-src 40004 >/dev/null 2>&1
claim "a single one too" eventually 3 has_session B sport=40004
claim "the primary has lost none" test "$(sessions_of A)" = "$copies"
claim "the secondary has told no delete" test "$(sent_deletes)" = 0

tell "the operator deletes a session on the primary"
ns gwA conntrack -D -p tcp --orig-port-src 40008 >/dev/null 2>&1
claim "its copy goes" eventually 3 gone_on B sport=40008
claim "and stays away" stays 1 gone_on B sport=40008
claim "the others stay" has_session B sport=40004

tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 5 primary_is B
sleep 1
end_flows
claim_flows_live tcp40004 tcp40005 tcp40006 tcp40007
claim "the deleted one dies: $(flow_told tcp40008)" flow_died tcp40008
claim "the zone is still 5" field_is B 40005 .zone 5
# Control: nobody puts anything back where no daemon runs.
ns gwA conntrack -D -p tcp --orig-port-src 40004 >/dev/null 2>&1
claim "without a daemon a deleted session stays away" stays 1 gone_on A sport=40004
finish
