/* show_session.c: get system session status | list, diagnose sys session list
 *
 * Layouts: fortios-facts 4.1, 4.2, 4.4. What the kernel does not tell is left out (shapers, policy,
 * offload print their empty forms, because scripts count the lines); the line beginning with
 * mark= is ours.
 */
#include "control/commands.h"
#include "ct/ct.h"

/* Before the kernel's headers, which then leave struct in_addr alone. */
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdio.h>
#include <string.h>

enum { END_STRLEN = IPADDR_STRLEN + 8 };

/* One session as it is shown: both directions, and what NAT did. */
struct shown {
	char src[END_STRLEN], dst[END_STRLEN];   /* original direction */
	char rsrc[END_STRLEN], rdst[END_STRLEN]; /* reply direction */
	char back[END_STRLEN];                   /* dst as the source of a reply without NAT */
	bool is_snat, is_dnat;
};

static bool is_icmp(const struct ct *ct)
{
	return ct->l4 == IPPROTO_ICMP || ct->l4 == IPPROTO_ICMPV6;
}

static void format_end(const struct ipaddr *addr, unsigned port, char out[END_STRLEN])
{
	char text[IPADDR_STRLEN];

	snprintf(out, END_STRLEN, "%s:%u", ipaddr_format(addr, text), port & 0xffff);
}

static void shown_of(const struct ct *ct, struct shown *ret_shown)
{
	struct shown *s = ret_shown;
	struct ipaddr rsrc, rdst;
	uint16_t rsport, rdport;
	bool has_ports = !is_icmp(ct); /* an ICMP "port" is type * 256 + code: show the type */

	ct_reply_tuple(ct, &rsrc, &rdst, &rsport, &rdport);
	format_end(&ct->src, ct->sport, s->src);
	format_end(&ct->dst, has_ports ? ct->dport : ct->dport >> 8, s->dst);
	format_end(&rsrc, has_ports ? rsport : rsport >> 8, s->rsrc);
	format_end(&rdst, rdport, s->rdst);
	format_end(&ct->dst, has_ports ? ct->dport : rsport >> 8, s->back);
	s->is_snat = !ipaddr_equal(&rdst, &ct->src) || rdport != ct->sport;
	s->is_dnat = !ipaddr_equal(&rsrc, &ct->dst) || (has_ports && rsport != ct->dport);
}

static const char *protocol_name(uint8_t l4, char out[8])
{
	switch (l4) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	case IPPROTO_SCTP:
		return "sctp";
	default:
		snprintf(out, 8, "%u", l4);
		return out;
	}
}

/* The kernel's states in the digits of fortios-facts 4.6; the left digit is an inspecting proxy's,
 * of which there is none. */
static unsigned state_digit(const struct ct *ct)
{
	static const uint8_t tcp[] = {
		[TCP_CONNTRACK_NONE] = 0,     [TCP_CONNTRACK_SYN_SENT] = 2,
		[TCP_CONNTRACK_SYN_RECV] = 3, [TCP_CONNTRACK_ESTABLISHED] = 1,
		[TCP_CONNTRACK_FIN_WAIT] = 4, [TCP_CONNTRACK_CLOSE_WAIT] = 7,
		[TCP_CONNTRACK_LAST_ACK] = 8, [TCP_CONNTRACK_TIME_WAIT] = 5,
		[TCP_CONNTRACK_CLOSE] = 6,    [TCP_CONNTRACK_SYN_SENT2] = 9,
	};
	static const uint8_t sctp[] = {
		[SCTP_CONNTRACK_NONE] = 0,          [SCTP_CONNTRACK_CLOSED] = 2,
		[SCTP_CONNTRACK_COOKIE_WAIT] = 3,   [SCTP_CONNTRACK_COOKIE_ECHOED] = 4,
		[SCTP_CONNTRACK_ESTABLISHED] = 1,   [SCTP_CONNTRACK_SHUTDOWN_SENT] = 5,
		[SCTP_CONNTRACK_SHUTDOWN_RECD] = 6, [SCTP_CONNTRACK_SHUTDOWN_ACK_SENT] = 7,
	};

	switch (ct->l4) {
	case IPPROTO_TCP:
		return ct->tcp_state < sizeof(tcp) ? tcp[ct->tcp_state] : 0;
	case IPPROTO_SCTP:
		return ct->sctp_state < sizeof(sctp) ? sctp[ct->sctp_state] : 0;
	case IPPROTO_UDP:
		return (ct->status & IPS_SEEN_REPLY) != 0;
	default:
		return 0;
	}
}

/* FNV-1a over the original tuple: the same number on every member. */
static uint32_t serial_of(const struct ct *ct)
{
	uint32_t hash = 2166136261u;
	const uint8_t head[] = {ct->l3,
				ct->l4,
				(uint8_t)(ct->zone >> 8),
				(uint8_t)ct->zone,
				(uint8_t)(ct->sport >> 8),
				(uint8_t)ct->sport,
				(uint8_t)(ct->dport >> 8),
				(uint8_t)ct->dport};
	const struct {
		const uint8_t *bytes;
		size_t len;
	} parts[] = {{head, sizeof(head)}, {ct->src.bytes, 16}, {ct->dst.bytes, 16}};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (size_t k = 0; k < parts[i].len; k++)
			hash = (hash ^ parts[i].bytes[k]) * 16777619u;
	return hash;
}

enum control_exit show_session_status(struct command_call *call)
{
	int64_t count = call->ops->get_session_count(call->node);

	if (count < 0)
		return command_refuse(call, "the kernel does not tell its number of sessions: %s",
				      strerror((int)-count));
	render_object(&call->render, NULL);
	RENDER(&call->render, "The total number of sessions for the current VDOM: {sessions}\n",
	       V_SIGNED("sessions", count));
	render_close(&call->render);
	return CONTROL_DONE;
}

static void begin_list(struct command_call *call)
{
	render_object(&call->render, NULL);
	render_list(&call->render, "sessions");
	render_say(&call->render,
		   "PROTO   EXPIRE SOURCE           SOURCE-NAT       DESTINATION      "
		   "DESTINATION-NAT\n");
}

static void row_list(struct command_call *call, const struct session_row *row)
{
	char number[8];
	struct shown s;

	shown_of(&row->ct, &s);
	render_object(&call->render, NULL);
	RENDER(&call->render,
	       "{proto:-7} {expire:-6} {source:-16} {source_nat:-16} {destination:-16} "
	       "{destination_nat}\n",
	       V_TEXT("proto", protocol_name(row->ct.l4, number)),
	       V_NUMBER("expire", row->expire_s), V_TEXT("source", s.src),
	       s.is_snat ? V_TEXT("source_nat", s.rdst) : V_NONE("source_nat"),
	       V_TEXT("destination", s.dst),
	       s.is_dnat ? V_TEXT("destination_nat", s.rsrc) : V_NONE("destination_nat"),
	       V_FLAG("copy", row->is_copy));
	render_close(&call->render);
}

static void end_list(struct command_call *call)
{
	render_close(&call->render);
	RENDER(&call->render, "", V_NUMBER("total", call->rows));
	render_close(&call->render);
}

static void show_hook(struct render *r, const char *hook, const char *dir, const char *act,
		      const char *from, const char *to, const char *nat)
{
	render_object(r, NULL);
	RENDER(r, "hook={hook} dir={dir} act={act} {from}->{to}({nat})\n", V_TEXT("hook", hook),
	       V_TEXT("dir", dir), V_TEXT("act", act), V_TEXT("from", from), V_TEXT("to", to),
	       V_TEXT("nat", nat));
	render_close(r);
}

static unsigned hook_count(const struct shown *s)
{
	return s->is_snat && s->is_dnat ? 4 : 2;
}

static void show_hooks(struct render *r, const struct ct *ct, const struct shown *s)
{
	const char *none = ct->l3 == AF_INET6 ? ":::0" : "0.0.0.0:0";

	render_list(r, "hooks");
	if (!s->is_snat && !s->is_dnat) {
		show_hook(r, "pre", "org", "noop", s->src, s->dst, none);
		show_hook(r, "post", "reply", "noop", s->back, s->src, none);
	}
	if (s->is_dnat)
		show_hook(r, "pre", "org", "dnat", s->src, s->dst, s->rsrc);
	if (s->is_snat) {
		show_hook(r, "post", "org", "snat", s->src, s->is_dnat ? s->rsrc : s->dst, s->rdst);
		show_hook(r, "pre", "reply", "dnat", s->rsrc, s->rdst, s->src);
	}
	if (s->is_dnat)
		show_hook(r, "post", "reply", "snat", s->rsrc, s->src, s->back);
	render_close(r);
}

static void show_flags(struct render *r, const struct session_row *row)
{
	RENDER(r, "state=may_dirty {synced}{copy}\n",
	       V_TEXT(".synced", row->is_synced ? "synced " : ""),
	       V_TEXT(".copy", row->is_copy ? "syn_ses " : ""), V_FLAG("synced", row->is_synced),
	       V_FLAG("copy", row->is_copy));
}

static void begin_detail(struct command_call *call)
{
	render_object(&call->render, NULL);
	render_list(&call->render, "sessions");
}

static void row_detail(struct command_call *call, const struct session_row *row)
{
	struct render *r = &call->render;
	const struct ct *ct = &row->ct;
	bool has_start = HAS(ct, CT_START_S) && call->epoch_s >= ct->start_s;
	char proto_state[12], labels[33] = "", helper[32] = "";
	struct shown s;

	shown_of(ct, &s);
	snprintf(proto_state, sizeof(proto_state), "0%u", state_digit(ct));
	for (unsigned i = 0; i < 16; i++)
		snprintf(labels + 2 * i, 3, "%02x", ct->labels[i]);
	if (*ct->helper)
		snprintf(helper, sizeof(helper), "helper=%s ", ct->helper);
	render_object(r, NULL);
	RENDER(r,
	       "session{six} info: proto={proto} proto_state={proto_state} duration={duration} "
	       "expire={expire} timeout={timeout} refresh_dir=both flags=00000000 socktype=0 "
	       "sockport=0 "
	       "av_idx=0 use=1\norigin-shaper=\nreply-shaper=\nper_ip_shaper=\n"
	       "class_id=0 ha_id=0 policy_dir=0 tunnel=/ {helper_word}vlan_cos=0/255\n",
	       V_TEXT(".six", ct->l3 == AF_INET6 ? "6" : ""), V_NUMBER("proto", ct->l4),
	       V_TEXT("proto_state", proto_state),
	       V_NUMBER("duration", has_start ? (uint64_t)(call->epoch_s - ct->start_s) : 0),
	       V_NUMBER("expire", row->expire_s), V_NUMBER("timeout", ct->timeout),
	       V_TEXT(".helper_word", helper), V_TEXT_OR_NONE("helper", ct->helper));
	show_flags(r, row);
	if (row->has_counters)
		RENDER(r,
		       "statistic(bytes/packets/allow_err): org={bytes_org}/{packets_org}/1 "
		       "reply={bytes_reply}/{packets_reply}/1 tuples={tuples}\n",
		       V_NUMBER("bytes_org", row->bytes[0]),
		       V_NUMBER("packets_org", row->packets[0]),
		       V_NUMBER("bytes_reply", row->bytes[1]),
		       V_NUMBER("packets_reply", row->packets[1]),
		       V_NUMBER(".tuples", hook_count(&s)));
	render_say(r, ct->l3 == AF_INET6
			      ? "orgin->sink: org pre->post, reply pre->post dev=0->0/0->0\n"
			      : "orgin->sink: org pre->post, reply pre->post dev=0->0/0->0 "
				"gwy=0.0.0.0/0.0.0.0\n");
	show_hooks(r, ct, &s);
	if (ct->l4 == IPPROTO_TCP)
		RENDER(r, "pos/(before,after) {op}/({ob},{oa}), {rp}/({rb},{ra})\n",
		       V_NUMBER(".op", ct->seq_orig_pos),
		       V_SIGNED(".ob", (int32_t)ct->seq_orig_before),
		       V_SIGNED(".oa", (int32_t)ct->seq_orig_after),
		       V_NUMBER(".rp", ct->seq_reply_pos),
		       V_SIGNED(".rb", (int32_t)ct->seq_reply_before),
		       V_SIGNED(".ra", (int32_t)ct->seq_reply_after));
	RENDER(r,
	       "misc=0 policy_id=0 pol_uuid_idx=0 auth_info=0 chk_client_info=0 vd=0\n"
	       "serial={serial:x8} tos=ff/ff app_list=0 app=0 url_cat=0\n"
	       "mark={mark:x8} zone={zone}/{zone_reply} status={status:x8} labels={labels}\n\n",
	       V_NUMBER("serial", serial_of(ct)), V_NUMBER("mark", ct->mark),
	       V_NUMBER("zone", ct->zone),
	       V_NUMBER("zone_reply", HAS(ct, CT_ZONE_REPLY) ? ct->zone_reply : ct->zone),
	       V_NUMBER("status", ct->status), V_TEXT("labels", labels), V_TEXT("source", s.src),
	       V_TEXT("destination", s.dst));
	render_close(r);
}

static void end_detail(struct command_call *call)
{
	render_close(&call->render);
	RENDER(&call->render, "total session: {total}\n", V_NUMBER("total", call->rows));
	render_close(&call->render);
}

const struct command_list show_session_list = {begin_list, row_list, end_list};
const struct command_list show_session_detail = {begin_detail, row_detail, end_detail};
