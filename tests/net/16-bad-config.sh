#!/bin/bash
# Bad configurations are refused with file, line, word and what would have been right.
. "$(dirname "$0")/lib.sh"

refused() { # refused LINE WORDS...: --check fails and its message has the line and all the words
	local line=$1 word message

	shift
	message=$("$BUILD/flowkeepd" --check -f "$RUN/bad.conf" 2>&1) && return 1
	[[ $message == *"$RUN/bad.conf:$line"* ]] || { echo "# $message"; return 1; }
	for word; do [[ $message == *"$word"* ]] || { echo "# no '$word' in: $message"; return 1; }; done
}

lab_new A
gw_conf A >"$RUN/good.conf"
[ -x "$BUILD/flowkeepd" ] || { echo "Bail out! $BUILD/flowkeepd is not built"; exit 1; }
claim "a good one passes --check" "$BUILD/flowkeepd" --check -f "$RUN/good.conf"
printf 'config system ha\n set mode active-banana\nend\n' >"$RUN/bad.conf"
claim "an unknown value" refused 2 active-banana a-p
printf 'config system ha\n set hb-lost-threshold 61\nend\n' >"$RUN/bad.conf"
claim "a value out of range" refused 2 61 60
printf 'config system ha\n set hb-intervall 2\nend\n' >"$RUN/bad.conf"
claim "an unknown key" refused 2 hb-intervall
printf 'config system interface\n edit in\n  set ip 10.1.0.256/24\n next\nend\n' >"$RUN/bad.conf"
claim "a bad address" refused 3 10.1.0.256
printf 'config system ha\n set priority 100\n' >"$RUN/bad.conf"
claim "a missing end" refused ""
head -c 4096 /dev/urandom >"$RUN/bad.conf"
claim "noise" refused ""
cp "$RUN/bad.conf" "$RUN/A.conf"
ns gwA timeout 5 "$BUILD/flowkeepd" -f "$RUN/A.conf" -s "$RUN/A.sock" -d "$RUN/A.d" >"$RUN/A.out" 2>&1
rc=$?
claim "the daemon does not start with one (exit $rc)" test $rc -ne 0 -a $rc -ne 124
finish
