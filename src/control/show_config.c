/* show_config.c: show [full-configuration] [PATH] */
#include "control/commands.h"
#include "config/config_print.h"

#include <stdlib.h>

static enum control_exit print(struct command_call *call, unsigned flags)
{
	/* The path came from the table; what can fail is memory. */
	char *text = config_to_text(call->ops->get_config(call->node), call->path, flags);

	if (!text)
		return command_refuse(call, "out of memory");
	render_object(&call->render, NULL);
	RENDER(&call->render, "{configuration}", V_TEXT("configuration", text));
	render_close(&call->render);
	free(text);
	return CONTROL_DONE;
}

enum control_exit show_config(struct command_call *call)
{
	return print(call, 0);
}

enum control_exit show_config_full(struct command_call *call)
{
	return print(call, CONFIG_PRINT_FULL);
}
