#!/bin/bash
# `execute ha failover set`: the primary hands over by order, keeps to it until `unset`, and then takes part in
# elections again (ages are equal here, so its priority makes it primary once more).
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
carry some_flows A B
refusal=$(fk B execute ha failover set 1 2>&1)
rc=$?
claim "a secondary refuses (exit $rc)" test $rc = 1
claim "and names the primary: $refusal" grep -q "${SERIAL[A]}" <<<"$refusal"
tell "execute ha failover set on A"
fk A execute ha failover set 1 >/dev/null
claim "B is primary" eventually 2 primary_is B
claim "only B forwards" eventually 2 forwards_alone B
claim "it lasts" stays 2 primary_is B
claim "status tells: $(fk A execute ha failover status | head -n1)" test -n "$(fk A execute ha failover status)"
tell "execute ha failover unset on A"
fk A execute ha failover unset 1 >/dev/null
claim "the two agree on a primary" eventually 2 agree A B
one=$(forwarders)
claim "one gateway forwards ($one)" test ${#one} = 1
claim_survival "failover set"
finish
