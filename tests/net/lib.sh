# lib.sh: the lab of the namespace tests: two or three gateways between a client and a server
#
#                  br-in                                    br-out
#        ┌───────────┼───────────┐                ┌───────────┼───────────┐
#        │           │           │                │           │           │
#   ┌────┴───┐   in ┌┴───────────┴┐ in .. out   out ┌─────────┴┐      ┌───┴────┐
#   │ cl     │      │ gwA ... gwC │ ────────────────┤ the same │      │ sv     │
#   │ client │      └──┬───────┬──┘                 │ gateways │      │ server │
#   └────────┘     hb1 │       │ hb2                └──────────┘      └────────┘
#                   br-hb1   br-hb2
#
#   cl   10.1.0.10-13/24, fd01::10-11/64, default route by 10.1.0.1, fd01::1
#   sv   10.2.0.10/24, fd02::10/64, default route by 10.2.0.1, fd02::1
#   gwX  in: 10.1.0.1 fd01::1, out: 10.2.0.1 fd02::1 (virtual addresses: the daemon's affair)
#   sw   the switches, and there only: every cut and every count of frames happens here
#
# The client's source address picks the translation: .10 none, .11 snat, .12 masquerade, fd01::10
# none, fd01::11 nat66; 10.1.0.1 port 8080 is the server's port 80 (dnat).
#
# A scenario sources this file first. It is then run again in namespaces of its own (mount, pid,
# net; user too when not root), so nothing of it survives it and nobody else is touched.
# Output is TAP; with --narrate the same story is told to a person.

set -u
NET_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$NET_DIR/../.." && pwd)
BUILD=${FK_BUILD:-$TOP/build}
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

# ---- enter namespaces of our own ------------------------------------------------------------------

lab_enter() {
	local private=(--mount --pid --fork --kill-child --mount-proc --net)

	# FK_ROOTLESS: a user namespace for root too, where it is as powerless over the host as anybody.
	[ "$(id -u)" = 0 ] && [ -z "${FK_ROOTLESS:-}" ] || private+=(--user --map-root-user)
	unshare "${private[@]}" true 2>/dev/null ||
		{ echo "1..0 # SKIP no namespaces here: $(unshare "${private[@]}" true 2>&1)"; exit 0; }
	FK_INSIDE=1 FK_UID=$(id -u) exec unshare "${private[@]}" bash "$0" "$@"
}
[ -n "${FK_INSIDE:-}" ] || lab_enter "$@"
NARRATE=
[ "${1:-}" = --narrate ] && NARRATE=1

RUN=$(mktemp -d /tmp/fk-net.XXXXXX)
CLAIMS=0 FAILED=0 SKIPPED=0
declare -A VIP PID FROZEN FLOW_PID FLOW_RC HA_OF SERIAL
declare -A HA=([mode]=a-p [group-id]=7 [group-name]=lab [password]='"correct horse"'
	[hbdev]='"hb1" 50 "hb2" 50' [monitor]='"in" "out"' [hb-interval]=1
	[hb-interval-in-milliseconds]=10ms [hb-lost-threshold]=3 [hello-holddown]=5
	[session-pickup]=enable [session-pickup-connectionless]=enable [override]=disable
	[ha-uptime-diff-margin]=1)
GATEWAYS=()
OPERATOR_RULES= # more rules of the operator, appended to every gateway's table
FLOW_NS=cl # where the flows begin
STARTED=$EPOCHREALTIME

lab_close() {
	local rc=$? name

	trap - EXIT
	if ((FAILED)) || ((rc)); then
		for name in "$RUN"/*.log; do
			[ -s "$name" ] && sed "s|^|# ${name##*/}: |" "$name" | tail -n 40
		done
	fi
	[ -n "${FK_KEEP:-}" ] && cp -r "$RUN" "$FK_KEEP"
	exec 2>/dev/null # the shell's obituaries
	for name in "${!PID[@]}"; do kill -CONT "${PID[$name]}" && kill -KILL "${PID[$name]}"; done 2>/dev/null
	for name in "${!FLOW_PID[@]}"; do kill -KILL "${FLOW_PID[$name]}"; done 2>/dev/null
	for name in /run/netns/*; do ip netns del "${name##*/}"; done 2>/dev/null
	rm -rf "$RUN"
	exit $rc
}
trap lab_close EXIT
trap 'FAILED=1; exit 1' INT TERM

# ---- telling ----------------------------------------------------------------------------------------

elapsed() { awk -v a="$STARTED" -v b="$EPOCHREALTIME" 'BEGIN { printf "%7.3f s", b - a }'; }

tell() {
	if [ -n "$NARRATE" ]; then
		printf '%s  %s\n' "$(elapsed)" "$*"
	else
		printf '# %s  %s\n' "$(elapsed)" "$*"
	fi
}

claim_told() { # claim_told RC TEXT
	CLAIMS=$((CLAIMS + 1))
	(($1)) && FAILED=$((FAILED + 1))
	if [ -n "$NARRATE" ]; then
		printf '%s    %s %s\n' "$(elapsed)" "$( (($1)) && echo 'DOES NOT HOLD:' || echo 'ok:')" "$2"
	else
		printf '%s %d - %s\n' "$( (($1)) && echo 'not ok' || echo ok)" "$CLAIMS" "$2"
	fi
}

claim() { # claim TEXT COMMAND...: the command's success is a test result
	local text=$1 rc=0

	shift
	"$@" || rc=1
	claim_told $rc "$text"
	return 0
}

not() { ! "$@"; }

skip_claim() { # skip_claim TEXT REASON
	CLAIMS=$((CLAIMS + 1)) SKIPPED=$((SKIPPED + 1))
	echo "ok $CLAIMS - $1 # SKIP $2"
}

skip() { # the whole scenario cannot be run here
	echo "1..0 # SKIP $*"
	exit 0
}

need() { # what everything after rests on: without it the scenario ends here, failed
	local text=$1

	shift
	"$@" && return 0
	claim_told 1 "$text"
	echo "1..$CLAIMS"
	exit 1
}

finish() {
	[ -n "$NARRATE" ] || echo "1..$CLAIMS"
	exit $((FAILED > 0))
}

micro() { awk -v s="$1" 'BEGIN { printf "%d", s * 1e6 }'; }

# A look at the kernel's sessions (conntrack -L) walks the hash table of the whole host in one go, 20 ms in which
# its processor can do nothing else, heartbeats included: so one does not look all the time.
LOOK_PAUSE=0.05

eventually() { # eventually SECONDS COMMAND...: polls until it holds
	local end=$((${EPOCHREALTIME/./} + $(micro "$1")))

	shift
	until "$@"; do
		((${EPOCHREALTIME/./} < end)) || return 1
		sleep $LOOK_PAUSE
	done
}

stays() { # stays SECONDS COMMAND...: holds at every look during that time
	local end=$((${EPOCHREALTIME/./} + $(micro "$1")))

	shift
	while ((${EPOCHREALTIME/./} < end)); do
		"$@" || return 1
		sleep $LOOK_PAUSE
	done
}

# ---- building -----------------------------------------------------------------------------------------

ns() { local where=$1; shift; nsenter --net="/run/netns/$where" "$@"; }
ns_start() { # ns_start NS LOG COMMAND...: in the background; $! is the command itself, not a shell
	nsenter --net="/run/netns/$1" "${@:3}" >"$2" 2>"${2%.json}.log" &
}
sysctl_in() { # sysctl_in NS key=value...
	local where=$1

	shift
	ns "$where" sysctl -qw "$@"
}

netns_new() {
	ip netns add "$1"
	ip -n "$1" link set lo up
	# Duplicate address detection would hold IPv6 addresses back for a second or two.
	sysctl_in "$1" net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
		net.ipv6.conf.default.accept_ra=0
}

wire() { # wire NS IFACE BRIDGE PORT: a cable from an interface to a switch
	ip link add "$2" netns "$1" type veth peer name "$4" netns sw
	ip -n sw link set "$4" master "$3" up
	ip -n "$1" link set "$2" up
}

lab_new() { # lab_new A B [C]
	local bridge gw

	if [ "$FK_UID" = 0 ] && [ -z "${FK_ROOTLESS:-}" ]; then
		mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns
	else
		mount -t tmpfs tmpfs /run && mkdir /run/netns
	fi || exit 1
	netns_new sw
	for bridge in br-in br-out br-hb1 br-hb2; do
		ip -n sw link add $bridge type bridge stp_state 0 forward_delay 0 mcast_snooping 0
		ip -n sw link set $bridge up
	done
	sysctl_in sw net.ipv6.conf.all.disable_ipv6=1
	netns_new cl
	wire cl eth0 br-in cl
	ip -n cl -batch - <<-END
		addr add 10.1.0.10/24 dev eth0
		addr add 10.1.0.11/24 dev eth0
		addr add 10.1.0.12/24 dev eth0
		addr add 10.1.0.13/24 dev eth0
		addr add fd01::10/64 dev eth0 nodad
		addr add fd01::11/64 dev eth0 nodad
		route add default via 10.1.0.1
		route add default via fd01::1
	END
	netns_new sv
	wire sv eth0 br-out sv
	ip -n sv -batch - <<-END
		addr add 10.2.0.10/24 dev eth0
		addr add fd02::10/64 dev eth0 nodad
		route add default via 10.2.0.1
		route add default via fd02::1
	END
	ns sw nft add table netdev lab
	for gw in "$@"; do gw_new "$gw"; done
}

gw_index() { printf '%d' $(($(printf '%d' "'$1") - 64)); } # A 1, B 2, C 3

gw_new() {
	local gw=$1 port

	GATEWAYS+=("$gw")
	SERIAL[$gw]=FK${gw}0000000000001
	netns_new "gw$gw"
	for port in in out hb1 hb2; do
		wire "gw$gw" $port br-$port "gw$gw-$port"
		# Frames carry their gateway's number as mark through the switch, and are counted on the way in.
		ns sw nft -f - <<-END
			add chain netdev lab from-$gw-$port { type filter hook ingress device "gw$gw-$port" priority 0; }
			add chain netdev lab to-$gw-$port { type filter hook egress device "gw$gw-$port" priority 0; }
			add counter netdev lab traffic-$gw-$port
			add counter netdev lab all-$gw-$port
			add rule netdev lab from-$gw-$port meta mark set $(gw_index "$gw")
			add rule netdev lab from-$gw-$port counter name all-$gw-$port
			add rule netdev lab from-$gw-$port th dport { 9, 53, 80, 8080 } counter name traffic-$gw-$port
			add rule netdev lab from-$gw-$port th sport { 53, 80, 8080 } counter name traffic-$gw-$port
		END
	done
	operator_rules "$gw" | ns "gw$gw" nft -f - || exit 1
	sysctl_in "gw$gw" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.netfilter.nf_conntrack_tcp_loose=0 net.netfilter.nf_conntrack_tcp_be_liberal=0
}

# The operator's own table, the same on every gateway. An uncopied TCP session dies here: its packets are
# invalid (tcp_loose=0), and what is not known may only be opened from inside.
operator_rules() {
	cat <<-END
		table inet operator {
			chain forw {
				type filter hook forward priority 0; policy drop;
				ct state invalid drop
				ct state established,related accept
				iifname "in" ct state new accept
				ct status dnat accept
			}
			chain pre {
				type nat hook prerouting priority dstnat;
				ip daddr 10.1.0.1 meta l4proto { tcp, udp, sctp } th dport 8080 dnat ip to 10.2.0.10:80
			}
			chain post {
				type nat hook postrouting priority srcnat;
				oifname "out" ip saddr 10.1.0.11 snat ip to 10.2.0.1
				oifname "out" ip saddr 10.1.0.12 masquerade
				oifname "out" ip6 saddr fd01::11 snat ip6 to fd02::1
			}
		}
		$OPERATOR_RULES
	END
}

# Switches that never learn where a gateway is: every frame for the virtual MAC reaches every gateway, so
# two that forward are heard twice (field dup of the probes).
lab_hub() {
	local gw port

	for gw in "${GATEWAYS[@]}"; do
		for port in in out; do ns sw bridge link set dev "gw$gw-$port" learning off flood on; done
	done
	ns sw bridge link set dev cl learning off
	ns sw bridge link set dev sv learning off
	ip -n sw link set br-in type bridge fdb_flush
	ip -n sw link set br-out type bridge fdb_flush
}

# ---- the daemon -----------------------------------------------------------------------------------------

ha() { HA[$1]=$2; }                  # ha KEY VALUE: on every gateway started from now on
ha_of() { HA_OF[$1.$2]=$3; }         # ha_of A KEY VALUE: on one

gw_conf() {
	local gw=$1 key

	local -A keys=()
	for key in "${!HA[@]}"; do keys[$key]=${HA[$key]}; done
	case $gw in A) keys[priority]=200 ;; B) keys[priority]=100 ;; *) keys[priority]=50 ;; esac
	for key in "${!HA_OF[@]}"; do [[ $key == "$gw".* ]] && keys[${key#*.}]=${HA_OF[$key]}; done
	cat <<-END
		config system global
		    set hostname fw-${gw,,}
		    set serial ${SERIAL[$gw]}
		end
		config system interface
		    edit in
		        set ip 10.1.0.${VIP[$gw]:-1}/24
		        set ip6-address fd01::${VIP[$gw]:-1}/64
		    next
		    edit out
		        set ip 10.2.0.${VIP[$gw]:-1}/24
		        set ip6-address fd02::${VIP[$gw]:-1}/64
		    next
		end
		config system ha
	END
	for key in "${!keys[@]}"; do [ -n "${keys[$key]}" ] && echo "    set $key ${keys[$key]}"; done | sort
	echo end
}

start_gw() {
	local gw=$1

	[ -x "$BUILD/flowkeepd" ] || { echo "Bail out! $BUILD/flowkeepd is not built"; exit 1; }
	mkdir -p "$RUN/$gw.d"
	gw_conf "$gw" >"$RUN/$gw.conf"
	nsenter --net="/run/netns/gw$gw" "$BUILD/flowkeepd" -f "$RUN/$gw.conf" -s "$RUN/$gw.sock" \
		-d "$RUN/$gw.d" >>"$RUN/$gw.log" 2>&1 &
	PID[$gw]=$!
}

stop_gw() { kill -TERM "${PID[$1]}"; wait "${PID[$1]}" 2>/dev/null; unset "PID[$1]"; }
kill_gw() { kill -KILL "${PID[$1]}"; wait "${PID[$1]}" 2>/dev/null; unset "PID[$1]"; }
freeze_gw() { kill -STOP "${PID[$1]}"; FROZEN[$1]=1; }
thaw_gw() { kill -CONT "${PID[$1]}"; unset "FROZEN[$1]"; }
daemon_lives() { kill -0 "${PID[$1]}" 2>/dev/null; }

fk() { local gw=$1; shift; timeout 5 "$BUILD/flowkeep" -s "$RUN/$gw.sock" "$@"; }
ha_status() { fk "$1" --json get system ha status 2>/dev/null; }

says_primary() { # says_primary B A: B takes A for the primary
	[ "$(ha_status "$1" | jq -r '.primary // "none"' 2>/dev/null)" = "${SERIAL[$2]}" ]
}

primary_is() { # primary_is A: every gateway whose daemon runs says so
	local gw

	for gw in "${!PID[@]}"; do
		[ -n "${FROZEN[$gw]:-}" ] || says_primary "$gw" "$1" || return 1
	done
}

agree() { # agree A B ...: all know the same primary
	local gw first

	first=$(ha_status "$1" | jq -r '.primary // "none"')
	[ -n "$first" ] && [ "$first" != none ] || return 1
	for gw; do [ "$(ha_status "$gw" | jq -r .primary)" = "$first" ] || return 1; done
}

# Ages closer than ha-uptime-diff-margin count as equal, and then the priority decides: whoever wants the age to
# decide lets every member grow older than that.
grown_up() { # grown_up A: every member A knows is older than twice the margin
	ha_status "$1" | jq -e "[.members[].age_ms] | length > 1 and all(. > ${HA[ha-uptime-diff-margin]} * 2000)" >/dev/null
}

drops() { # drops A REASON: refused frames of that reason so far
	fk "$1" --json diagnose sys ha drops 2>/dev/null | jq "[.. | objects | (.$2? | numbers),
		(select(.name? == \"$2\" or .reason? == \"$2\") | .count? | numbers)] | add // 0"
}
has_drops() { (($(drops "$@") > 0)); }

start_cluster() { # start_cluster A B ...: the first becomes primary (highest priority, all of one age)
	local gw

	for gw in "$@"; do start_gw "$gw"; done
	tell "daemons started on $*; the cluster forms (hello-holddown ${HA[hello-holddown]} s)"
	need "cluster of $* forms and $1 is primary" eventually 20 primary_is "$1"
	need "client reaches the server through the cluster" eventually 5 reaches
}

reaches() { ns cl ping -c1 -W1 -q 10.2.0.10 >/dev/null && ns cl ping -c1 -W1 -q fd02::10 >/dev/null; }

# ---- sessions in the kernels -----------------------------------------------------------------------------

# The tuples of every session of the lab's clients in gateway $1, without what may differ (timers, ids). What
# is over (TIME_WAIT, CLOSE) stays in the owner's kernel for a while, and in no other.
sessions_of() {
	{ ns "gw$1" conntrack -L -f ipv4; ns "gw$1" conntrack -L -f ipv6; } 2>/dev/null |
		grep -Ev ' (TIME_WAIT|CLOSE) ' |
		sed -E 's/^([a-z0-9]+) [^=]* src=/\1 src=/; s/(\[[A-Z_]+\]|mark=[0-9]+|use=[0-9]+|delta-time=[0-9]+) *//g' |
		grep -E '^[a-z0-9]+ src=(10\.1\.0\.1[0-9]|fd01::1[0-9]) ' | grep -Ev 'dst=(ff02|fe80)' | sort
}

session_line() { # session_line A WORDS...: conntrack's line that has all the words
	local gw=$1 word lines

	shift
	lines=$({ ns "gw$gw" conntrack -L -o labels -f ipv4; ns "gw$gw" conntrack -L -o labels -f ipv6; } 2>/dev/null)
	for word in "$@"; do lines=$(grep -F -e "$word" <<<"$lines"); done
	[ -n "$lines" ] && head -n1 <<<"$lines"
}
has_session() { session_line "$@" >/dev/null; }

same_sessions() { # same_sessions A B: both kernels know the same sessions, and there are some
	local first second

	first=$(sessions_of "$1") second=$(sessions_of "$2")
	[ -n "$first" ] && [ "$first" = "$second" ]
}

# ---- failures ---------------------------------------------------------------------------------------------

# A failure happens at once: one batch or one transaction each, or the lab would add milliseconds of its own.

port_set() { # port_set up|down A PORT...
	local state=$1 gw=$2 port

	shift 2
	for port; do echo "link set gw$gw-$port $state"; done | ip -n sw -batch -
}
cut_data() { port_set down "$1" in out; }          # carrier goes too
mend_data() { port_set up "$1" in out; }
cut_hb() { port_set down "$@"; }                    # cut_hb A hb1 [hb2]
mend_hb() { port_set up "$@"; }

PORTS='in out hb1 hb2'
cut_rules() { # cut_rules from|to A [MATCH]: silently, on every port; carrier stays
	local port

	for port in $PORTS; do echo "add rule netdev lab $1-$2-$port ${3:-} drop comment \"cut\""; done
}

silence_from() { cut_rules from "$1" | ns sw nft -f -; } # nothing it says is heard
silence_to() { cut_rules to "$1" | ns sw nft -f -; }     # it hears nothing
cut_one_way() { # cut_one_way A B: on every path B hears nothing of A, A still hears B
	cut_rules to "$2" "meta mark $(gw_index "$1")" | ns sw nft -f -
}
cut_between() { # cut_between A B: the two hear nothing of each other on any path, all else stays
	{
		cut_rules to "$2" "meta mark $(gw_index "$1")"
		cut_rules to "$1" "meta mark $(gw_index "$2")"
	} | ns sw nft -f -
}

mend_all() { # every silent cut around A is undone
	local port way handle

	for port in $PORTS; do
		for way in from to; do
			for handle in $(ns sw nft -a list chain netdev lab "$way-$1-$port" |
				sed -n 's/.*"cut".* handle //p'); do
				echo "delete rule netdev lab $way-$1-$port handle $handle"
			done
		done
	done | ns sw nft -f -
}

gw_gone() { # the power fails: nothing leaves it any more, its daemon included
	{
		cut_rules from "$1"
		cut_rules to "$1"
	} | ns sw nft -f -
	kill_gw "$1"
	port_set down "$1" $PORTS
}

# A cable that a program is made of (tools/relay.c): frames of session sync can be lost, doubled, overtaken and
# throttled there. Heartbeats pass.
relay_new() { # relay_new SEED B PORT...: instead of the cables between these ports and their switches
	local seed=$1 gw=$2 port

	local -a pairs=()
	shift 2
	for port; do
		ip -n sw -batch - <<-END
			link set gw$gw-$port nomaster
			link add $gw-$port-near type veth peer name $gw-$port-far
			link set $gw-$port-far master br-$port up
			link set $gw-$port-near up
		END
		pairs+=("gw$gw-$port:$gw-$port-near")
	done
	: >"$RUN/relay.conf"
	ns_start sw "$RUN/relay.json" "$BUILD/tests/net/relay" --seed "$seed" --options "$RUN/relay.conf" "${pairs[@]}"
	RELAY_PID=$!
	need "the relay runs" eventually 5 test -s "$RUN/relay.json"
}
relay_ask() { # relay_ask SIGNAL: and waits for its line
	local lines=$(wc -l <"$RUN/relay.json")

	kill "-$1" $RELAY_PID
	need "the relay answers" eventually 5 more_lines "$RUN/relay.json" "$lines"
}
relay_set() { echo "$*" >"$RUN/relay.conf"; relay_ask USR1; } # relay_set drop=10 ...; nothing: a good cable
relay_now() { relay_ask USR2; tail -n1 "$RUN/relay.json" | jq -r "$1"; } # relay_now .dropped

# ---- who forwards -------------------------------------------------------------------------------------------

emitted() { # emitted A: frames of client and server that gateway A has put on a data switch so far
	ns sw nft -j list counters table netdev lab | jq "[.nftables[].counter? |
		select(. and (.name | test(\"^traffic-$1-(in|out)$\"))) | .packets] | add // 0"
}

forwarders() { # who forwards frames now (traffic must be running); names, sorted
	local gw

	local -A before=()
	for gw in "${GATEWAYS[@]}"; do before[$gw]=$(emitted "$gw"); done
	sleep 0.1
	for gw in "${GATEWAYS[@]}"; do (($(emitted "$gw") > ${before[$gw]})) && printf '%s' "$gw"; done
	return 0
}
forwards_alone() { [ "$(forwarders)" = "$1" ]; }
emitted_still() { [ "$(emitted "$1")" = "$2" ]; }    # emitted_still A NUMBER

# ---- traffic ------------------------------------------------------------------------------------------------

start_server() {
	ns_start sv "$RUN/server.json" "$BUILD/tests/net/traffic" serve
	FLOW_PID[server]=$!
	need "server listens" eventually 5 grep -qs listening "$RUN/server.json"
}
server_speaks() { kill -USR1 "${FLOW_PID[server]}"; }

flow() { # flow NAME KIND [OPTIONS] ADDRESS: a client session that runs until end_flows
	local name=$1 kind=$2

	shift 2
	rm -f "$RUN/$name.ready"
	ns_start "$FLOW_NS" "$RUN/flow-$name.json" "$BUILD/tests/net/traffic" "$kind" --name "$name" \
		--ready "$RUN/$name.ready" "$@"
	FLOW_PID[$name]=$!
}

flows() { printf '%s\n' "${!FLOW_PID[@]}" | grep -v '^server2*$' | sort; }

flows_ready() {
	local name

	for name in $(flows); do [ -e "$RUN/$name.ready" ] || return 1; done
}
await_flows() { need "every client session is up ($(flows | wc -l))" eventually 15 flows_ready; }

flow_field() { tail -n1 "$RUN/flow-$1.json" | jq -r "$2"; } # flow_field NAME .stall_ms

flow_now() { # asks a running flow for its line of the moment, then like flow_field
	local lines=$(wc -l <"$RUN/flow-$1.json")

	kill -USR2 "${FLOW_PID[$1]}" 2>/dev/null || { flow_field "$@"; return; }
	eventually 2 more_lines "$RUN/flow-$1.json" "$lines"
	flow_field "$@"
}
more_lines() { (($(wc -l <"$1") > $2)); }

all_answered() { # all_answered NAME...: what these have sent is being answered (again)
	local name

	for name; do [ "$(flow_now "$name" .lost_at_end)" = 0 ] || return 1; done
}

end_flows() { # every flow is told to end, and says how it went
	local name names

	names=$(flows)
	for name in $names; do kill -TERM "${FLOW_PID[$name]}" 2>/dev/null; done
	for name in $names; do
		wait "${FLOW_PID[$name]}"
		FLOW_RC[$name]=$?
		unset "FLOW_PID[$name]"
	done
}

flow_lives() { [ "${FLOW_RC[$1]}" = 0 ]; }
flow_died() { # it had been up, and it is not any more
	[ "${FLOW_RC[$1]}" = 1 ] && [ "$(flow_field "$1" '.up and (.ok | not)')" = true ]
}

flow_told() { # one line about a finished flow
	local line

	line=$(tail -n1 "$RUN/flow-$1.json" | jq -r 'if .kind == "download" or .kind == "upload" then
		"\(.bytes) bytes, sha256 \(.sha256[0:12]), longest stall \(.stall_ms) ms"
		elif .kind == "echo" then "\(.answered) of \(.sent) answered, slowest \(.rtt_max_ms) ms"
		elif .kind == "idle" then "server spoke \(.heard) times, \(.agreed) rounds completed"
		elif .kind == "oneway" then "\(.sent) sent"
		else "\(.lost) of \(.sent) lost, longest outage \(.outage_max_ms) ms, \(.dup) twice" end +
		(if .error != "" then ", \(.error)" else "" end)')
	printf '%s' "${line:-no report}"
}

claim_flows_live() { # one claim for each flow (names as arguments, or all)
	local name

	for name in ${*:-$(printf '%s\n' "${!FLOW_RC[@]}" | sort)}; do
		claim "$name goes on: $(flow_told "$name")" flow_lives "$name"
	done
}

# Two forwarders would answer some packet twice; meaningful with lab_hub.
no_duplicates() {
	local name

	for name; do [ "$(flow_field "$name" .dup)" = 0 ] || return 1; done
}

at_most() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'; } # at_most 38.2 40

# ---- the usual story --------------------------------------------------------------------------------------------

measure() { # measure TEXT VALUE: tests/run repeats these at its end
	if [ -n "$NARRATE" ]; then tell "measured: $1: $2"; else echo "# measured: $1: $2"; fi
}

# The time the 1 kHz UDP stream $2 got no answer, after what the text $1 names. The aim is 40 ms with heartbeats
# of 10 ms x 3; the limit is what a busy test machine may add to it.
claim_outage() {
	local ms limit=${3:-250}

	ms=$(flow_field "$2" .outage_max_ms)
	measure "outage of the 1 kHz UDP stream, $1" "$ms ms (all: $(flow_field "$2" '.outages_ms | map(tostring) | join(", ")'))"
	claim "$1: at most $limit ms without an answer ($ms ms)" at_most "$ms" "$limit"
}

# One session of each kind along a way: flows_along NAME FROM TO PORT KIND...
flows_along() {
	local name=$1 from=$2 to=$3 port=$4 kind
	local -a more

	shift 4
	for kind; do
		more=(--port "$port" --from "$from")
		case $kind in
		download | upload) more+=(--rate 200000) ;;
		udp) case $name in plain | v6) more+=(--hz 1000) ;; *) more+=(--hz 100) ;; esac ;;
		icmp) more=(--from "$from") ;;
		esac
		flow "$name-$kind" "$kind" "${more[@]}" "$to"
	done
}

ALL_KINDS=(download upload idle echo udp icmp sctp)
every_flow() { # all traffic through all translations
	flows_along plain 10.1.0.10 10.2.0.10 80 "${ALL_KINDS[@]}"
	flows_along snat 10.1.0.11 10.2.0.10 80 "${ALL_KINDS[@]}"
	flows_along masq 10.1.0.12 10.2.0.10 80 "${ALL_KINDS[@]}"
	flows_along dnat 10.1.0.13 10.1.0.1 8080 download upload idle echo udp sctp
	flows_along v6 fd01::10 fd02::10 80 "${ALL_KINDS[@]}"
	flows_along nat66 fd01::11 fd02::10 80 "${ALL_KINDS[@]}"
}

some_flows() { # where the failure is the point, not the translation
	flows_along plain 10.1.0.10 10.2.0.10 80 download idle echo udp icmp
	flows_along snat 10.1.0.11 10.2.0.10 80 download udp sctp
	flows_along v6 fd01::10 fd02::10 80 echo udp
}

conntrack_in() { ns "gw$1" python3 "$NET_DIR/tools/conntrack.py" "${@:2}"; } # conntrack_in A make 1000
has_made() { [ "$(conntrack_in "$1" count)" = "$2" ]; }
same_made() { # both kernels have the same of the made sessions, with the same states and marks
	local first=$(conntrack_in A table)

	[ -n "$first" ] && [ "$first" = "$(conntrack_in B table)" ]
}
sync_of() { fk "$1" --json diagnose sys session sync; }
sync_count() { sync_of "$1" | jq "$2"; } # sync_count A .gaps
records_told() { sync_count "$1" '.sync.created + .sync.updated + .sync.deleted + .bulk.records_sent'; }

copied() { # copied A B ...: whatever the first forwards, the others know
	local gw first=$1

	shift
	for gw; do same_sessions "$first" "$gw" || return 1; done
}

carry() { # carry every_flow|some_flows A B ...: a cluster whose first gateway carries these flows
	local which=$1

	shift
	start_server
	start_cluster "$@"
	"$which"
	await_flows
	need "every session is copied to every other member" eventually 8 copied "$@"
	tell "$(flows | wc -l) sessions are up, copied to ${*:2}"
}

probes() { flows | grep -E -- '-(udp|icmp|sctp|dns)$'; }
idle_flows() { flows | grep -E -- '-idle$'; }
idle_agreed() {
	local name

	for name in $(idle_flows); do (($(flow_now "$name" .agreed) > ${1:-0})) || return 1; done
}

# Explains an outage that no failure of ours explains: a daemon that got no processor in time has stalled.
lease_told() {
	local gw

	for gw in "${!PID[@]}"; do
		[ -z "${FROZEN[$gw]:-}" ] && tell "$gw: $(fk "$gw" --json diagnose sys ha status 2>/dev/null | jq -c \
			'[.. | objects | select(has("stalls")) | {stalls, resumes, takeovers, probes}]'), load $(cut -d' ' -f1 /proc/loadavg)"
	done
	return 0
}

# Whatever failed has failed: the flows go on, the server speaks first on the idle ones, everything ends well.
claim_survival() { # claim_survival TEXT [OUTAGE-LIMIT]
	local name

	eventually 8 all_answered $(probes)
	server_speaks
	eventually 8 idle_agreed
	lease_told
	sleep 0.5 # more of every stream, so that one that limps is noticed
	end_flows
	claim_flows_live
	for name in plain-udp v6-udp; do
		[ -n "${FLOW_RC[$name]:-}" ] && claim_outage "$1 (${name%-udp})" "$name" "${2:-250}"
	done
	claim "no packet was answered twice" no_duplicates $(printf '%s\n' "${!FLOW_RC[@]}" | grep -E -- '-(udp|icmp|sctp)$')
}
