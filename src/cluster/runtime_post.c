/* runtime_post.c: what crosses between the heartbeat thread and the pipeline, each way a post */
#include "cluster/runtime_impl.h"

#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* To the pipeline. */
struct news {
	const struct runtime_ops *ops; /* not the runtime: it may be gone before this arrives */
	void *arg;
	enum { NEWS_ROLE, NEWS_HISTORY, NEWS_MEMBERS, NEWS_DISTURBANCE, NEWS_LINK_UP } what;
	enum member_state state;
	char primary[17];
	uint64_t term;
	char text[256];
	struct runtime_living living[LIMIT_MEMBERS - 1];
	unsigned count;
};

static void deliver(void *arg)
{
	struct news *news = arg;
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
	loop_post(rt->pipeline, deliver, news);
}

void runtime_tell_history(struct runtime *rt, const char *text)
{
	struct news *news = news_new(rt);

	news->what = NEWS_HISTORY;
	snprintf(news->text, sizeof(news->text), "%s", text);
	loop_post(rt->pipeline, deliver, news);
}

void runtime_tell_members(struct runtime *rt)
{
	struct news *news = news_new(rt);

	news->what = NEWS_MEMBERS;
	memcpy(news->living, rt->living, sizeof(news->living));
	news->count = rt->living_count;
	loop_post(rt->pipeline, deliver, news);
}

void runtime_tell_disturbance(struct runtime *rt)
{
	struct news *news = news_new(rt);

	news->what = NEWS_DISTURBANCE;
	loop_post(rt->pipeline, deliver, news);
}

void runtime_tell_link_up(struct runtime *rt)
{
	struct news *news = news_new(rt);

	news->what = NEWS_LINK_UP;
	loop_post(rt->pipeline, deliver, news);
}

/* To the heartbeat thread. */
struct order {
	struct runtime *rt;
	enum { ORDER_READY, ORDER_SESSIONS, ORDER_FORCE, ORDER_UPTIME, ORDER_CONFIG } what;
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
	case ORDER_UPTIME:
		cluster_on_reset_uptime(c, loop_now(order->rt->loop));
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

void runtime_reset_uptime(struct runtime *rt)
{
	give(rt, &(struct order){ .what = ORDER_UPTIME });
}

void runtime_reconfigure(struct runtime *rt, const struct config *config)
{
	struct order order = { .what = ORDER_CONFIG };

	runtime_cluster_config(config, rt->config.serial, rt->config.incarnation, &order.config);
	give(rt, &order);
}
