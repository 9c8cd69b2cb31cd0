/* ct_copy_test.c: sessions of one real kernel become copies in another, field by field */
#include "ct/ct_lab.h"
#include "ct/ct_table.h"

#include "base/xalloc.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COPY_BIT      0x80000000u
#define RATE_SESSIONS 8192u

static struct lab lab;
static const char *skip_why;

struct row {
	const char *what;
	uint8_t l4;
	const char *src, *dst;
	uint16_t sport, dport;
	const char *rsrc, *rdst;
	uint16_t rsport, rdport;
	uint16_t zone, zone_reply;
	bool is_zone_one_way;
	uint32_t mark;
	const char *helper;
	bool has_labels, has_seqadj, is_unreplied;
};

static const struct row rows[] = {
	{"TCP", 6, "10.1.0.9", "10.2.0.9", 1000, 80, .mark = 0},
	{"TCP, IPv6", 6, "fd01::9", "fd02::9", 1000, 80, .mark = 0},
	{"TCP, SNAT", 6, "10.1.0.9", "10.2.0.9", 1001, 80, .rdst = "10.2.0.1", .rdport = 30001},
	{"TCP, SNAT of the port only", 6, "10.1.0.9", "10.2.0.9", 1002, 80, .rdport = 30002},
	{"TCP, SNAT of the address only", 6, "10.1.0.9", "10.2.0.9", 1003, 80, .rdst = "10.2.0.1"},
	{"TCP, DNAT", 6, "10.1.0.9", "10.1.0.1", 1004, 8080, .rsrc = "10.2.0.9", .rsport = 80},
	{"TCP, both", 6, "10.1.0.9", "10.1.0.1", 1005, 8080, .rsrc = "10.2.0.9", .rsport = 80,
	 .rdst = "10.2.0.1", .rdport = 30005},
	{"TCP, SNAT66", 6, "fd01::9", "fd02::9", 1006, 80, .rdst = "fd02::1", .rdport = 30006},
	{"UDP", 17, "10.1.0.9", "10.2.0.9", 1000, 53, .mark = 0},
	{"UDP, one way", 17, "10.1.0.9", "10.2.0.9", 1001, 53, .is_unreplied = true},
	{"UDP-Lite", 136, "10.1.0.9", "10.2.0.9", 1000, 53, .mark = 0},
	{"SCTP", 132, "10.1.0.9", "10.2.0.9", 1000, 80, .mark = 0},
	{"SCTP, SNAT", 132, "10.1.0.9", "10.2.0.9", 1001, 80, .rdst = "10.2.0.1", .rdport = 30007},
	{"GRE", 47, "10.1.0.9", "10.2.0.9", 0, 0, .mark = 0},
	{"ESP", 50, "10.1.0.9", "10.2.0.9", 0, 0, .mark = 0},
	{"ping", 1, "10.1.0.9", "10.2.0.9", 77, 8 << 8, .mark = 0},
	{"ping, SNAT", 1, "10.1.0.9", "10.2.0.9", 78, 8 << 8, .rdst = "10.2.0.1", .rdport = 30008},
	{"ping, DNAT", 1, "10.1.0.9", "10.1.0.1", 79, 8 << 8, .rsrc = "10.2.0.9"},
	{"ping, IPv6", 58, "fd01::9", "fd02::9", 77, 128 << 8, .mark = 0},
	{"zone", 17, "10.1.0.9", "10.2.0.9", 2000, 53, .zone = 3},
	{"another zone, same tuple", 17, "10.1.0.9", "10.2.0.9", 2000, 53, .zone = 4},
	{"zone of the original direction", 17, "10.1.0.9", "10.2.0.9", 2001, 53, .zone = 3,
	 .is_zone_one_way = true},
	{"zone of the reply direction", 17, "10.1.0.9", "10.2.0.9", 2002, 53, .zone_reply = 3,
	 .is_zone_one_way = true},
	{"mark and labels", 6, "10.1.0.9", "10.2.0.9", 2003, 80, .mark = 0x1234,
	 .has_labels = true},
	{"sequence adjustment", 6, "10.1.0.9", "10.2.0.9", 2004, 21, .has_seqadj = true},
	{"helper", 6, "10.1.0.9", "10.2.0.9", 2005, 21, .helper = "ftp"},
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static void set_addr(struct ct *ct, enum ct_field field, struct ipaddr *member, const char *text)
{
	if (text == NULL)
		return;
	assert_int_equal(ipaddr_parse(text, member), 0);
	SET_HAS(ct, field);
}

static void set_u16(struct ct *ct, enum ct_field field, uint16_t *member, uint16_t value,
		    bool is_set)
{
	if (!is_set)
		return;
	*member = value;
	SET_HAS(ct, field);
}

static struct ct ct_of(const struct row *r)
{
	struct ct ct = {0};
	bool has_ports = r->l4 != 50;

	set_addr(&ct, CT_SRC, &ct.src, r->src);
	set_addr(&ct, CT_DST, &ct.dst, r->dst);
	set_addr(&ct, CT_RSRC, &ct.rsrc, r->rsrc);
	set_addr(&ct, CT_RDST, &ct.rdst, r->rdst);
	set_u16(&ct, CT_SPORT, &ct.sport, r->sport, has_ports);
	set_u16(&ct, CT_DPORT, &ct.dport, r->dport, has_ports);
	set_u16(&ct, CT_RSPORT, &ct.rsport, r->rsport, r->rsport != 0);
	set_u16(&ct, CT_RDPORT, &ct.rdport, r->rdport, r->rdport != 0);
	set_u16(&ct, CT_ZONE, &ct.zone, r->zone, r->zone != 0);
	set_u16(&ct, CT_ZONE_REPLY, &ct.zone_reply, r->zone_reply, r->is_zone_one_way);
	ct.l3 = ct.src.family;
	ct.l4 = r->l4;
	ct.status = IPS_CONFIRMED | (r->is_unreplied ? 0 : IPS_SEEN_REPLY);
	ct.has |= schema_ct.required;
	ct.mark = r->mark;
	if (r->mark != 0)
		SET_HAS(&ct, CT_MARK);
	if (r->has_labels) {
		memcpy(ct.labels, "\x01\x80zyxwvutsrqpon\x7f", 16);
		SET_HAS(&ct, CT_LABELS);
	}
	if (r->helper != NULL) {
		memcpy(ct.helper, r->helper, strlen(r->helper));
		SET_HAS(&ct, CT_HELPER);
	}
	if (r->l4 == IPPROTO_TCP) {
		ct.tcp_state = 3;
		ct.wscale_orig = 7;
		ct.wscale_reply = 9;
		ct.tcp_flags_orig = ct.tcp_flags_reply =
			0x23; /* WINDOW_SCALE, SACK_PERM, MAXACK_SET */
		ct.has |= 31u << CT_TCP_STATE;
	}
	if (r->l4 == IPPROTO_SCTP) {
		ct.sctp_state = 4; /* ESTABLISHED */
		ct.vtag_orig = 0xdeadbeef;
		ct.vtag_reply = 0xfeedface;
		ct.has |= 7u << CT_SCTP_STATE;
	}
	if (r->has_seqadj) {
		ct.seq_orig_pos = 1000;
		ct.seq_orig_before = 5;
		ct.seq_orig_after = (uint32_t)-7;
		ct.seq_reply_pos = 2000;
		ct.seq_reply_after = 9;
		ct.has |= (uint64_t)63 << CT_SEQ_ORIG_POS;
	}
	return ct;
}

static struct ct_inject *injector(enum lab_ns ns, uint32_t copy_bit)
{
	struct ct_inject *inject;

	lab_enter(&lab, ns);
	assert_int_equal(ct_inject_open(lab.loop, copy_bit, lab_on_verdict, &lab, &inject), 0);
	return inject;
}

static int copy(struct ct_inject *inject, enum ct_op op, const struct ct *ct)
{
	lab.verdicts = 0;
	assert_int_equal(ct_inject_copy(inject, op, ct, 7), 0);
	ct_inject_flush(inject);
	assert_true(lab_wait(&lab, &lab.verdicts, 1));
	return lab.last_error;
}

static unsigned dumps_done;

static void on_done(void *arg, int error)
{
	(void)arg;
	assert_int_equal(error, 0);
	dumps_done++;
}

static struct ct_seen *dump(enum lab_ns ns, unsigned *ret_count)
{
	struct ct_seen *all = xcalloc(LAB_SEEN_MAX, sizeof(*all));
	struct ct_dump *running;

	lab_enter(&lab, ns);
	lab.seen_count = 0;
	dumps_done = 0;
	assert_int_equal(ct_dump_start(lab.loop, COPY_BIT, lab_on_seen, on_done, &lab, &running),
			 0);
	assert_true(lab_wait(&lab, &dumps_done, 1));
	memcpy(all, lab.seen, lab.seen_count * sizeof(*all));
	*ret_count = lab.seen_count;
	lab.seen_count = 0;
	return all;
}

static const struct ct_seen *find(const struct ct_seen *all, unsigned count, const struct ct *key)
{
	for (unsigned i = 0; i < count; i++)
		if (ct_key_equal(&all[i].ct, key))
			return &all[i];
	return NULL;
}

/* The session as the owner has it, against the copy; ASSURED, timeout and copy bit apart. */
static void assert_copied(const char *what, const struct ct_seen *owner, const struct ct_seen *twin)
{
	struct ct want = owner->ct;

	assert_true(twin->is_copy);
	assert_true(twin->ct.timeout > CT_HOLD_S - 10);
	want.status |= IPS_ASSURED;
	want.timeout = twin->ct.timeout;
	want.start_s = twin->ct.start_s;
	for (unsigned i = 0; i < CT_FIELD_COUNT; i++) {
		const struct field *f = &schema_ct.fields[i];

		if (i != CT_START_S && HAS(&want, i) != HAS(&twin->ct, i))
			fail_msg("%s: presence of %s differs", what, f->name);
		if (memcmp((const char *)&want + f->offset, (const char *)&twin->ct + f->offset,
			   f->size) != 0)
			fail_msg("%s: %s differs (status %#x, %#x)", what, f->name, want.status,
				 twin->ct.status);
	}
}

/* What CT_GET and the request must agree in: NAT bits follow from the attributes. */
static void assert_made(const struct row *r, const struct ct *want, const struct ct_seen *got)
{
	bool is_snat = r->rdst != NULL || r->rdport != 0,
	     is_dnat = r->rsrc != NULL || r->rsport != 0;

	if (!!(got->ct.status & IPS_SRC_NAT) != is_snat ||
	    !!(got->ct.status & IPS_DST_NAT) != is_dnat)
		fail_msg("%s: status %#x", r->what, got->ct.status);
	for (unsigned i = 0; i < CT_FIELD_COUNT; i++) {
		const struct field *f = &schema_ct.fields[i];

		if (i == CT_STATUS || !HAS(want, i))
			continue;
		if (!HAS(&got->ct, i) || memcmp((const char *)want + f->offset,
						(const char *)&got->ct + f->offset, f->size) != 0)
			fail_msg("%s: %s is not what was asked for", r->what, f->name);
	}
}

static int setup(void **state)
{
	static const struct ct_table_config plain = {.copy_bit = COPY_BIT};
	static struct ct_table *tables[2];

	if (lab_open(&lab, &skip_why) < 0)
		return 0;
	lab_enter(&lab, LAB_GATEWAY);
	if (ct_table_sysctls() < 0 || ct_table_open(lab.loop, &plain, &tables[0]) < 0)
		return -1;
	lab_enter(&lab, LAB_STANDBY);
	if (ct_table_sysctls() < 0 || ct_table_open(lab.loop, &plain, &tables[1]) < 0)
		return -1;
	*state = tables;
	return 0;
}

static int teardown(void **state)
{
	struct ct_table **tables = *state;

	if (skip_why != NULL)
		return 0;
	lab_enter(&lab, LAB_GATEWAY);
	ct_table_close(tables[0]);
	lab_enter(&lab, LAB_STANDBY);
	ct_table_close(tables[1]);
	lab_close(&lab);
	return 0;
}

static void begin(void)
{
	if (skip_why != NULL) {
		print_message("%s\n", skip_why);
		skip();
	}
	lab_run(&lab, LAB_GATEWAY, "conntrack -F 2>/dev/null");
	lab_run(&lab, LAB_STANDBY, "conntrack -F 2>/dev/null");
	lab_listen(&lab, MS(5));
}

static void copies_keep_every_field_of_every_protocol(void **state)
{
	struct ct_capture *capture;
	struct ct_inject *maker, *inject;
	struct ct_seen *owners, *twins, heard;
	unsigned owner_count, twin_count, missing = 0;

	(void)state;
	begin();
	lab_enter(&lab, LAB_GATEWAY);
	assert_int_equal(
		ct_capture_open(lab.loop, COPY_BIT, lab_on_seen, lab_on_overrun, &lab, &capture),
		0);
	maker = injector(LAB_GATEWAY, 0);
	inject = injector(LAB_STANDBY, COPY_BIT);
	for (unsigned i = 0; i < ROW_COUNT; i++) {
		struct ct ct = ct_of(&rows[i]);
		int error;

		lab.seen_count = 0;
		error = copy(maker, CT_OP_CREATE, &ct);
		if (error == -EOPNOTSUPP && rows[i].helper != NULL) {
			print_message("no helper %s in this kernel\n", rows[i].helper);
			missing++;
			continue;
		}
		if (error != 0)
			fail_msg("%s: %s", rows[i].what, strerror(-error));
		assert_true(lab_wait(&lab, &lab.seen_count, 1));
		heard = lab.seen[0];
		assert_int_equal(heard.news, CT_NEWS_NEW);
		assert_made(&rows[i], &ct, &heard);
		error = copy(inject, CT_OP_CREATE, &heard.ct);
		if (error != 0)
			fail_msg("%s: copy: %s", rows[i].what, strerror(-error));
		assert_int_equal(copy(inject, CT_OP_CREATE, &heard.ct), -EEXIST);
	}
	assert_int_equal(ct_count(), ROW_COUNT - missing);
	owners = dump(LAB_GATEWAY, &owner_count);
	twins = dump(LAB_STANDBY, &twin_count);
	assert_int_equal(owner_count, ROW_COUNT - missing);
	assert_int_equal(twin_count, ROW_COUNT - missing);
	for (unsigned i = 0; i < ROW_COUNT; i++) {
		struct ct ct = ct_of(&rows[i]);
		const struct ct_seen *owner = find(owners, owner_count, &ct);
		const struct ct_seen *twin = find(twins, twin_count, &ct);
		struct ct_seen got;

		if (owner == NULL && rows[i].helper != NULL)
			continue;
		assert_true(owner != NULL && twin != NULL);
		assert_copied(rows[i].what, owner, twin);
		lab_enter(&lab, LAB_STANDBY);
		assert_int_equal(ct_get(COPY_BIT, &ct, &got), 0);
		assert_true(ct_key_equal(&got.ct, &ct));
	}
	free(owners);
	free(twins);
	ct_inject_close(maker);
	ct_inject_close(inject);
	ct_capture_close(capture);
}

static void copies_are_updated_and_deleted(void **state)
{
	struct ct_inject *inject;
	struct ct_seen got;

	(void)state;
	begin();
	inject = injector(LAB_STANDBY, COPY_BIT);
	for (unsigned i = 0; i < ROW_COUNT; i++) {
		struct ct ct = ct_of(&rows[i]);
		int error;

		if (rows[i].helper != NULL)
			continue;
		assert_int_equal(copy(inject, CT_OP_UPDATE, &ct), -ENOENT);
		assert_int_equal(copy(inject, CT_OP_CREATE, &ct), 0);
		ct.status |= IPS_SEEN_REPLY;
		ct.mark = 0x77;
		SET_HAS(&ct, CT_MARK);
		if (HAS(&ct, CT_TCP_STATE))
			ct.tcp_state = 7;
		if (HAS(&ct, CT_SCTP_STATE))
			ct.sctp_state = 5;
		if (HAS(&ct, CT_LABELS))
			memset(ct.labels, 0x11, sizeof(ct.labels));
		error = copy(inject, CT_OP_UPDATE, &ct);
		if (error != 0)
			fail_msg("%s: update: %s", rows[i].what, strerror(-error));
		assert_int_equal(ct_get(COPY_BIT, &ct, &got), 0);
		assert_true(got.is_copy && got.ct.mark == 0x77 && (got.ct.status & IPS_SEEN_REPLY));
		assert_int_equal(got.ct.tcp_state, ct.tcp_state);
		assert_int_equal(got.ct.sctp_state, ct.sctp_state);
		assert_memory_equal(got.ct.labels, ct.labels, 16);
		/* The kernel does not forget a reply: whoever needs that deletes and creates. */
		ct.status &= ~(uint32_t)IPS_SEEN_REPLY;
		assert_int_equal(copy(inject, CT_OP_UPDATE, &ct), -EBUSY);

		lab.verdicts = 0;
		assert_int_equal(ct_inject_timeout(inject, &ct, 100, 1), 0);
		ct_inject_flush(inject);
		assert_true(lab_wait(&lab, &lab.verdicts, 1));
		/* GRE has a fixed timeout, or its first packet would end it. */
		assert_int_equal(lab.last_error, ct.l4 == IPPROTO_GRE ? -EPERM : 0);
		assert_int_equal(ct_get(COPY_BIT, &ct, &got), 0);
		assert_true(ct.l4 == IPPROTO_GRE || got.ct.timeout <= 100);
		assert_true(got.is_copy && got.ct.mark == 0x77);

		lab.verdicts = 0;
		assert_int_equal(ct_inject_delete(inject, &ct, 1), 0);
		assert_int_equal(ct_inject_delete(inject, &ct, 2), 0);
		ct_inject_flush(inject);
		assert_true(lab_wait(&lab, &lab.verdicts, 2));
		assert_int_equal(lab.last_error, -ENOENT);
		assert_int_equal(ct_get(COPY_BIT, &ct, &got), -ENOENT);
	}
	assert_int_equal(ct_count(), 0);
	ct_inject_close(inject);
}

/* One TCP connection through the gateway, which drops what conntrack calls invalid. */
struct connection {
	int server, client, accepted;
	struct ct ct;
};

static struct connection connection_open(uint16_t port)
{
	struct connection c;
	struct ct_seen *all;
	unsigned count;

	assert_int_equal(
		lab_run(&lab, LAB_GATEWAY,
			"echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose;"
			"nft 'table inet strict { chain forw { type filter hook forward priority 0;"
			" ct state invalid drop; }\n}'"),
		0);
	c.server = lab_socket(&lab, LAB_SERVER, SOCK_STREAM, port);
	c.client = lab_socket(&lab, LAB_CLIENT, SOCK_STREAM, 0);
	assert_int_equal(lab_connect(c.client, "10.2.0.9", port), 0);
	c.accepted = accept(c.server, NULL, NULL);
	assert_true(c.accepted >= 0);
	all = dump(LAB_GATEWAY, &count);
	assert_int_equal(count, 1);
	c.ct = all[0].ct;
	free(all);
	return c;
}

static void connection_close(struct connection *c)
{
	close(c->client);
	close(c->accepted);
	close(c->server);
	lab_run(&lab, LAB_GATEWAY, "nft delete table inet strict");
}

static bool carries(struct connection *c, int64_t limit_ns)
{
	struct timeval limit = {.tv_usec = limit_ns / 1000 % 1000000, .tv_sec = limit_ns / SEC(1)};
	char byte;

	setsockopt(c->accepted, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return write(c->client, "x", 1) == 1 && read(c->accepted, &byte, 1) == 1;
}

static void tcp_continues_on_a_copy(void **state)
{
	struct ct_inject *inject;
	struct connection c;

	(void)state;
	begin();
	c = connection_open(8101);
	inject = injector(LAB_GATEWAY, COPY_BIT);
	assert_true(carries(&c, SEC(2)));
	lab_run(&lab, LAB_GATEWAY, "conntrack -F 2>/dev/null");
	/* The control: without a copy it is over. */
	assert_false(carries(&c, MS(300)));
	assert_int_equal(copy(inject, CT_OP_CREATE, &c.ct), 0);
	assert_true(carries(&c, SEC(2)));
	ct_inject_close(inject);
	connection_close(&c);
}

/* This gateway forwarded the session, then another one did (here: conntrack looked away), and now
 * it comes back: the window conntrack remembers is megabytes behind. */
static void tcp_comes_back_to_a_former_owner(void **state)
{
	enum { CHUNK = 65536, CHUNKS = 256 };
	static char chunk[CHUNK];
	struct ct_inject *inject;
	struct connection c;
	struct timeval limit = {.tv_sec = 5};

	(void)state;
	begin();
	c = connection_open(8102);
	inject = injector(LAB_GATEWAY, COPY_BIT);
	assert_true(carries(&c, SEC(2)));
	assert_int_equal(lab_run(&lab, LAB_GATEWAY,
				 "nft 'table inet away { chain r {"
				 " type filter hook prerouting priority -300; notrack; }\n}'"),
			 0);
	setsockopt(c.accepted, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (int i = 0; i < CHUNKS; i++) {
		assert_int_equal(write(c.client, chunk, CHUNK), CHUNK);
		assert_int_equal(recv(c.accepted, chunk, CHUNK, MSG_WAITALL), CHUNK);
	}
	assert_int_equal(lab_run(&lab, LAB_GATEWAY, "nft delete table inet away"), 0);
	assert_false(carries(&c, MS(300)));
	assert_int_equal(copy(inject, CT_OP_UPDATE, &c.ct), 0);
	assert_true(carries(&c, SEC(3)));
	ct_inject_close(inject);
	connection_close(&c);
}

static unsigned rate_failed;

static void on_rate_verdict(void *arg, enum ct_op op, uint64_t cookie, int error)
{
	(void)op;
	(void)cookie;
	if (error < 0)
		rate_failed++;
	lab_on_verdict(arg, op, cookie, error);
}

static void copies_are_made_fast(void **state)
{
	struct ct_inject *inject;
	struct ct ct;
	mono_t start;
	int64_t ns;

	(void)state;
	begin();
	ct = ct_of(&rows[2]);
	lab_enter(&lab, LAB_STANDBY);
	assert_int_equal(ct_inject_open(lab.loop, COPY_BIT, on_rate_verdict, &lab, &inject), 0);
	lab.verdicts = 0;
	start = mono_read();
	for (unsigned i = 0; i < RATE_SESSIONS; i++) {
		ct.sport = ct.rdport = (uint16_t)(1024 + i);
		while (ct_inject_copy(inject, CT_OP_CREATE, &ct, i) == -EAGAIN)
			loop_turn(lab.loop, MS(10));
	}
	ct_inject_flush(inject);
	assert_true(lab_wait(&lab, &lab.verdicts, RATE_SESSIONS));
	ns = mono_sub(mono_read(), start);
	assert_int_equal(rate_failed, 0);
	assert_int_equal(ct_count(), RATE_SESSIONS);
	assert_int_equal(ct_inject_stats(inject).created, RATE_SESSIONS);
	print_message("%u copies with SNAT: %.2f us each, %.0f a second\n", RATE_SESSIONS,
		      (double)ns / 1e3 / RATE_SESSIONS, RATE_SESSIONS * 1e9 / (double)ns);
	ct_inject_close(inject);
}

/* Nobody reads while more sessions begin than the buffer holds; afterwards news arrives again. */
static void capture_starts_anew_after_an_overrun(void **state)
{
	enum { FLOOD = 50000 };
	struct loop *other = loop_new();
	struct ct_capture *capture;
	struct ct_inject *maker, *ours;
	struct ct ct = ct_of(&rows[0]);
	unsigned before;
	uint64_t events;

	(void)state;
	begin();
	lab_enter(&lab, LAB_GATEWAY);
	assert_int_equal(
		ct_capture_open(lab.loop, COPY_BIT, lab_on_seen, lab_on_overrun, &lab, &capture),
		0);
	assert_int_equal(ct_inject_open(other, 0, lab_on_verdict, &lab, &maker), 0);
	ours = injector(LAB_GATEWAY, COPY_BIT);
	ct_capture_ignore(capture, ct_inject_portid(ours));
	lab.verdicts = lab.overruns = 0;
	for (unsigned i = 0; i < FLOOD; i++) {
		ct.sport = (uint16_t)(1024 + i);
		while (ct_inject_copy(maker, CT_OP_CREATE, &ct, i) == -EAGAIN)
			loop_turn(other, MS(10));
	}
	ct_inject_flush(maker);
	while (lab.verdicts < FLOOD)
		loop_turn(other, MS(10));
	assert_int_equal(lab.overruns, 0);
	assert_true(lab_wait(&lab, &lab.overruns, 1));
	assert_int_equal(ct_count(), FLOOD);

	lab_listen(&lab, MS(5));
	lab.seen_count = 0;
	before = lab.overruns;
	ct.sport = 1;
	assert_int_equal(ct_inject_copy(maker, CT_OP_CREATE, &ct, 1), 0);
	ct_inject_flush(maker);
	assert_true(lab_wait(&lab, &lab.seen_count, 1));
	assert_int_equal(lab.seen[0].ct.sport, 1);
	assert_int_equal(lab.overruns, before);
	while (lab.verdicts < FLOOD + 1)
		loop_turn(other, MS(10));
	/* The fresh socket ignores what the old one did. */
	events = ct_capture_stats(capture).events;
	ct.sport = 2;
	assert_int_equal(copy(ours, CT_OP_CREATE, &ct), 0);
	assert_int_equal(copy(ours, CT_OP_UPDATE, &ct), 0);
	lab_listen(&lab, MS(5));
	assert_int_equal(ct_capture_stats(capture).events, events);
	ct_inject_close(ours);
	ct_inject_close(maker);
	loop_free(other);
	ct_capture_close(capture);
}

static void capture_hears_new_sessions_only_when_told_to(void **state)
{
	struct ct_capture *capture;
	struct ct_inject *maker;
	struct ct ct = ct_of(&rows[0]);

	(void)state;
	begin();
	lab_enter(&lab, LAB_GATEWAY);
	assert_int_equal(
		ct_capture_open(lab.loop, COPY_BIT, lab_on_seen, lab_on_overrun, &lab, &capture),
		0);
	maker = injector(LAB_GATEWAY, 0);
	lab.seen_count = 0;
	assert_int_equal(ct_capture_hear_new(capture, false), 0);
	assert_int_equal(copy(maker, CT_OP_CREATE, &ct), 0);
	assert_int_equal(copy(maker, CT_OP_UPDATE, &ct), 0);
	assert_true(lab_wait(&lab, &lab.seen_count, 1));
	assert_int_equal(lab.seen[0].news, CT_NEWS_UPDATE);
	assert_int_equal(ct_inject_delete(maker, &ct, 1), 0);
	ct_inject_flush(maker);
	assert_true(lab_wait(&lab, &lab.seen_count, 2));
	assert_int_equal(lab.seen[1].news, CT_NEWS_DESTROY);
	assert_int_equal(ct_capture_hear_new(capture, true), 0);
	assert_int_equal(copy(maker, CT_OP_CREATE, &ct), 0);
	assert_true(lab_wait(&lab, &lab.seen_count, 3));
	assert_int_equal(lab.seen[2].news, CT_NEWS_NEW);
	ct_inject_close(maker);
	ct_capture_close(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_keep_every_field_of_every_protocol),
		cmocka_unit_test(copies_are_updated_and_deleted),
		cmocka_unit_test(tcp_continues_on_a_copy),
		cmocka_unit_test(tcp_comes_back_to_a_former_owner),
		cmocka_unit_test(copies_are_made_fast),
		cmocka_unit_test(capture_starts_anew_after_an_overrun),
		cmocka_unit_test(capture_hears_new_sessions_only_when_told_to),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
