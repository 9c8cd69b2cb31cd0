/* runtime_post.c: what crosses between the heartbeat thread and the pipeline, each way a post */
#include "cluster/runtime_impl.h"

#include "base/xalloc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* To the pipeline. */
struct news {
	struct news *older;
	const struct runtime_ops *ops;
	void *arg;
	enum { NEWS_ROLE, NEWS_HISTORY, NEWS_MEMBERS, NEWS_DISTURBANCE, NEWS_LINK_UP } what;
	enum member_state state;
	char primary[17];
	uint64_t term;
	char text[256];
	struct runtime_living living[LIMIT_MEMBERS - 1];
	unsigned count;
};

/* Posts may outlive the runtime, and the node with it; news must not. So a post only says that there
 * is some, and who stops the runtime takes what is left. */
struct mailbox {
	_Atomic(struct news *) newest;
	atomic_uint holders; /* the runtime, and every post on its way */
};

static void deliver(struct news *news)
{
	const struct runtime_ops *ops = news->ops;

	switch (news->what) {
	case NEWS_ROLE:
		ops->on_role(news->arg, news->state, news->primary, news->term);
		break;
	case NEWS_HISTORY:
		ops->on_history(news->arg, news->text);
		break;
	case NEWS_MEMBERS:
		ops->on_members(news->arg, news->living, news->count);
		break;
	case NEWS_DISTURBANCE:
		ops->on_disturbance(news->arg);
		break;
	case NEWS_LINK_UP:
		ops->on_link_up(news->arg);
		break;
	}
	free(news);
}

static void mailbox_let_go(struct mailbox *mailbox)
{
	if (atomic_fetch_sub(&mailbox->holders, 1) == 1)
		free(mailbox);
}

static void mailbox_empty(struct mailbox *mailbox)
{
	struct news *news = atomic_exchange(&mailbox->newest, NULL);
	struct news *oldest = NULL;

	while (news) {
		struct news *older = news->older;

		news->older = oldest;
		oldest = news;
		news = older;
	}
	while (oldest) {
		news = oldest;
		oldest = news->older;
		deliver(news);
	}
}

static void on_mail(void *arg)
{
	mailbox_empty(arg);
	mailbox_let_go(arg);
}

void runtime_mail_open(struct runtime *rt)
{
	rt->mailbox = xcalloc(1, sizeof(*rt->mailbox));
	atomic_init(&rt->mailbox->holders, 1);
}

void runtime_mail_close(struct runtime *rt)
{
	mailbox_empty(rt->mailbox);
	mailbox_let_go(rt->mailbox);
}

static void post(struct runtime *rt, struct news *news)
{
	struct mailbox *mailbox = rt->mailbox;

	news->older = atomic_load(&mailbox->newest);
	while (!atomic_compare_exchange_weak(&mailbox->newest, &news->older, news))
		;
	atomic_fetch_add(&mailbox->holders, 1);
	loop_post(rt->pipeline, on_mail, mailbox);
}

static struct news *news_new(struct runtime *rt)
{
	struct news *news = xcalloc(1, sizeof(*news));

	news->ops = rt->ops;
	news->arg = rt->arg;
	return news;
}

void runtime_tell_role(struct runtime *rt, enum member_state state, const char *primary,
		       uint64_t term)
{
	struct news *news = news_new(rt);

	news->what = NEWS_ROLE;
	news->state = state;
	snprintf(news->primary, sizeof(news->primary), "%s", primary);
	news->term = term;
	post(rt, news);
}

void runtime_tell_history(struct runtime *rt, const char *text)
{
	struct news *news = news_new(rt);

	news->what = NEWS_HISTORY;
	snprintf(news->text, sizeof(news->text), "%s", text);
	post(rt, news);
}

void runtime_tell_members(struct runtime *rt)
{
	struct news *news = news_new(rt);

	news->what = NEWS_MEMBERS;
	memcpy(news->living, rt->living, sizeof(news->living));
	news->count = rt->living_count;
	post(rt, news);
}

void runtime_tell_disturbance(struct runtime *rt)
{
	struct news *news = news_new(rt);

	news->what = NEWS_DISTURBANCE;
	post(rt, news);
}

void runtime_tell_link_up(struct runtime *rt)
{
	struct news *news = news_new(rt);

	news->what = NEWS_LINK_UP;
	post(rt, news);
}

/* To the heartbeat thread. */
struct order {
	struct runtime *rt;
	enum { ORDER_READY, ORDER_SESSIONS, ORDER_FORCE, ORDER_CONFIG } what;
	uint64_t number;
	bool flag;
	struct cluster_config config;
};

static void obey(void *arg)
{
	struct order *order = arg;
	struct cluster *c = &order->rt->cluster;

	switch (order->what) {
	case ORDER_READY:
		cluster_on_ready(c, order->number, order->flag);
		break;
	case ORDER_SESSIONS:
		c->sessions = order->number;
		break;
	case ORDER_FORCE:
		cluster_on_force(c, order->flag);
		break;
	case ORDER_CONFIG:
		order->config.incarnation = c->config.incarnation;
		cluster_reconfigure(c, &order->config);
		break;
	}
	free(order);
}

static void give(struct runtime *rt, const struct order *template)
{
	struct order *order = xcalloc(1, sizeof(*order));

	*order = *template;
	order->rt = rt;
	loop_post(rt->loop, obey, order);
}

void runtime_set_ready(struct runtime *rt, uint64_t term, bool is_ready)
{
	give(rt, &(struct order){ .what = ORDER_READY, .number = term, .flag = is_ready });
}

void runtime_set_sessions(struct runtime *rt, uint64_t sessions)
{
	give(rt, &(struct order){ .what = ORDER_SESSIONS, .number = sessions });
}

void runtime_force(struct runtime *rt, bool is_forced)
{
	give(rt, &(struct order){ .what = ORDER_FORCE, .flag = is_forced });
}

void runtime_reconfigure(struct runtime *rt, const struct config *config)
{
	struct order order = { .what = ORDER_CONFIG };

	runtime_cluster_config(config, rt->config.serial, rt->config.incarnation, &order.config);
	give(rt, &order);
}
