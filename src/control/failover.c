/* failover.c: execute ha failover set | unset | status */
#include "control/commands.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

static enum control_exit force(struct command_call *call, bool is_forced)
{
	char why[CONTROL_WHY] = "";
	int err = call->ops->force_failover(call->node, is_forced, why, sizeof(why));

	if (err < 0)
		return command_refuse(call, "%s", *why ? why : strerror(-err));
	render_object(&call->render, NULL);
	RENDER(&call->render, "", V_FLAG("forced", is_forced));
	render_close(&call->render);
	return CONTROL_DONE;
}

static enum control_exit refuse_secondary(struct command_call *call, const struct ha_view *view)
{
	const char *hostname = ha_primary_hostname(view);

	if (view->mode == HA_STANDALONE)
		return command_refuse(
			call, "this gateway is standalone: there is no cluster to fail over");
	if (*view->primary == '\0')
		return command_refuse(call, "this member is not primary, and no primary is known");
	return command_refuse(call, "this member is not primary; the primary is %s (%s)",
			      *hostname ? hostname : "-", view->primary);
}

enum control_exit failover_set(struct command_call *call)
{
	struct ha_view *view = xcalloc(1, sizeof(*view));
	enum control_exit status;

	call->ops->get_ha(call->node, view);
	if (view->state == MEMBER_WORK && view->mode != HA_STANDALONE)
		status = force(call, true);
	else
		status = refuse_secondary(call, view);
	free(view);
	return status;
}

enum control_exit failover_unset(struct command_call *call)
{
	return force(call, false);
}

enum control_exit failover_status(struct command_call *call)
{
	struct ha_view *view = xcalloc(1, sizeof(*view));

	call->ops->get_ha(call->node, view);
	render_object(&call->render, NULL);
	RENDER(&call->render, "failover status: {status}\n", V_FLAG("forced", view->is_forced),
	       V_TEXT(".status", view->is_forced ? "set" : "unset"));
	render_close(&call->render);
	free(view);
	return CONTROL_DONE;
}
