#!/bin/bash
# What no event tells: a kernel that differs from the store is found by reading it, and put right.
. "$(dirname "$0")/lib.sh"

lab_new A B
# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
# A session of this client raises no event that A hears, whatever happens to it.
ns gwA nft -f - <<-END
	table inet deaf {
		chain forw {
			type filter hook forward priority 600;
			ip saddr 10.1.0.12 ct event set destroy
		}
	}
END
start_server
start_cluster A B
flow plain idle --port 80 --from 10.1.0.10,41000 10.2.0.10
await_flows
need "copied" eventually 8 same_sessions A B

found() { # found A lacks|more|differs: how many the last comparison found
	fk "$1" --json diagnose sys session sync | jq ".kernel_$2"
}
checks() { fk "$1" --json diagnose sys session sync | jq .kernel_checks; }
check() { # check A: compares now, and waits for the answer
	local before=$(checks "$1")

	fk "$1" diagnose sys session sync check >/dev/null
	eventually 5 more_checks "$1" "$before"
}
more_checks() { (($(checks "$1") > $2)); }

check B
claim "B's kernel is as it should be" test "$(found B lacks) $(found B more) $(found B differs)" = "0 0 0"

tell "somebody adds a copy of nothing to B's kernel, and changes the mark of another"
ns gwB conntrack -I -p udp -s 10.1.0.13 -d 10.2.0.10 --sport 5000 --dport 53 -t 600 -m 0x80000000 >/dev/null 2>&1
ns gwB conntrack -U -p tcp -s 10.1.0.10 --sport 41000 -m 0x80000055 >/dev/null 2>&1
need "it is there" has_session B udp sport=5000
need "and the mark too" has_session B sport=41000 mark=2147483733
check B
claim "both are found" test "$(found B more) $(found B differs)" = "1 1"
claim "the copy of nothing is gone" eventually 2 not has_session B udp sport=5000
claim "the mark is what A says" eventually 2 has_session B sport=41000 mark=2147483648
check B
claim "and nothing is found any more" test "$(found B lacks) $(found B more) $(found B differs)" = "0 0 0"

tell "a session that A's daemon hears nothing of"
flow deaf idle --port 80 --from 10.1.0.12,42000 10.2.0.10
await_flows
need "A forwards it" has_session A sport=42000 ESTABLISHED
claim "B does not know it" not has_session B sport=42000
check A
claim "A finds it" test "$(found A more)" -ge 1
claim "and B is told" eventually 2 has_session B sport=42000
tell "SIGKILL to the daemon of A"
kill_gw A
need "B is primary" eventually 5 says_primary B B
server_speaks
eventually 8 idle_agreed
end_flows
claim_flows_live
finish
