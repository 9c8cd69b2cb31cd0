#!/bin/bash
# The operator changes the configuration of a running cluster: SIGHUP, a broken file, single keys and a new virtual
# address by command. No session suffers, and what the file says wrongly changes nothing.
. "$(dirname "$0")/lib.sh"

reload() { kill -HUP "${PID[$1]}"; }
log_has() { grep -Fq -e "$2" "$RUN/$1.log"; }
priority_is() { # priority_is B A 60: what B knows of A
	ha_status "$1" | jq -e ".members[] | select(.serial == \"${SERIAL[$2]}\") | .priority == $3" >/dev/null
}
setting() { fk "$1" show full-configuration system ha | awk -v key="$2" '$1 == "set" && $2 == key { print $3 }'; }
setting_is() { [ "$(setting "$1" "$2")" = "$3" ]; }
pings() { ns cl ping -c1 -W1 -q "$1" >/dev/null; }
has_address() { ip -n "gw$1" -o addr show dev "$2" | grep -q "inet $3"; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
lab_hub
carry some_flows A B

tell "SIGHUP: priority 210, a heartbeat of 60 ms, another threshold"
sed -i 's/set priority .*/set priority 210/; s/set hb-interval 5/set hb-interval 6/; s/set hb-lost-threshold .*/set hb-lost-threshold 7/' "$RUN/A.conf"
reload A
claim "it is reloaded" eventually 3 log_has A "reloaded"
claim "A has the new interval" setting_is A hb-interval 6
claim "and the new threshold" setting_is A hb-lost-threshold 7
claim "B knows the new priority" eventually 3 priority_is B A 210

tell "SIGHUP with a broken file"
sed -i 's/set priority 210/set priority lots/' "$RUN/A.conf"
line=$(grep -n 'priority lots' "$RUN/A.conf" | cut -d: -f1)
reload A
claim "nothing is reloaded" eventually 3 log_has A "nothing reloaded"
claim "the log names file and line" log_has A "A.conf:$line"
claim "and the word" eval 'grep "nothing reloaded" "$RUN/A.log" | grep -q lots'
claim "the priority stays" setting_is A priority 210
claim "and B still hears it" priority_is B A 210
claim "flowkeepd --check says the same" eval '! "$BUILD/flowkeepd" --check "$RUN/A.conf" 2>"$RUN/check" && grep -q "A.conf:$line" "$RUN/check"'

tell "one key by command"
claim "config system ha set priority 50 end" fk A config system ha set priority 50 end
claim "B knows it" eventually 3 priority_is B A 50
claim "and takes over, the ages being equal" eventually 3 primary_is B
claim "a value out of range is refused" eval '! fk A config system ha set priority 999 end 2>/dev/null'
claim "and changes nothing" setting_is A priority 50

tell "one more virtual address by command, on one after the other"
for gw in A B; do
	claim "10.1.0.77 on $gw" fk $gw config system interface edit in set ip 10.1.0.1/24 10.1.0.77/24 end
	claim "$gw has it" eventually 10 has_address $gw in 10.1.0.77/24
	need "the two agree again" eventually 15 agree A B
	need "and are equal" eventually 10 copied A B
done
# B's heartbeats begin anew with that, at age 0: A may be the older one now, and then it leads.
claim "they agree on a primary" eventually 15 agree A B
claim "the client reaches it" eventually 5 pings 10.1.0.77
one=$(forwarders)
claim "one gateway forwards ($one)" test ${#one} = 1
claim_survival "reloads and changes" 1500
finish
