/* talk.c: one request from words to reply */
#include "control/talk.h"
#include "config/config_statements.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void flush_text(struct talk *talk)
{
	if (talk->held > 0)
		talk->chunk(talk->arg, 't', talk->hold, talk->held);
	talk->held = 0;
}

/* Renderers write crumbs; they travel as chunks of a few kilobytes. */
static void write_text(void *arg, const char *data, size_t len)
{
	struct talk *talk = arg;

	while (len > 0) {
		size_t room = sizeof(talk->hold) - talk->held;
		size_t part = len < room ? len : room;

		memcpy(talk->hold + talk->held, data, part);
		talk->held += part;
		data += part;
		len -= part;
		if (talk->held == sizeof(talk->hold))
			flush_text(talk);
	}
}

static void finish(struct talk *talk, enum control_exit status)
{
	char byte = (char)status;

	flush_text(talk);
	if (status != CONTROL_DONE)
		talk->chunk(talk->arg, 'e', talk->call.error, strlen(talk->call.error));
	talk->chunk(talk->arg, 'x', &byte, 1);
}

void talk_init(struct talk *talk, const struct control_ops *ops, void *node,
	       void (*chunk)(void *arg, char type, const char *data, size_t len), void *arg)
{
	memset(talk, 0, sizeof(*talk));
	talk->ops = ops;
	talk->node = node;
	talk->chunk = chunk;
	talk->arg = arg;
}

static void list_on_row(void *arg, const struct session_row *row)
{
	struct talk *talk = arg;

	talk->call.rows++;
	talk->list->row(&talk->call, row);
}

static void list_on_done(void *arg, int error)
{
	struct talk *talk = arg;
	const struct command_list *list = talk->list;

	talk->list = NULL;
	talk->walk = NULL;
	list->end(&talk->call);
	if (error < 0) {
		command_refuse(&talk->call, "the list is not complete: %s", strerror(-error));
		finish(talk, CONTROL_REFUSED);
		return;
	}
	finish(talk, CONTROL_DONE);
}

static void start_list(struct talk *talk, const struct command_list *list)
{
	int err;

	talk->call.rows = 0;
	talk->call.epoch_s = talk->ops->get_epoch_s(talk->node);
	talk->list = list;
	talk->is_paused = false;
	err = talk->ops->start_sessions(talk->node, list_on_row, list_on_done, talk, &talk->walk);
	if (err < 0) {
		talk->list = NULL;
		command_refuse(&talk->call, "the kernel does not list its sessions: %s",
			       strerror(-err));
		finish(talk, CONTROL_REFUSED);
		return;
	}
	list->begin(&talk->call);
}

static void run(struct talk *talk, const struct request *request)
{
	const struct command *command = NULL;
	enum control_exit status =
		command_find(request->words, request->word_count, &talk->call, &command);

	talk->call.is_json = request->is_json;
	talk->call.render = render_of(request->is_json, write_text, talk);
	if (status != CONTROL_DONE) {
		finish(talk, status);
	} else if (command->question && !request->is_confirmed) {
		talk->chunk(talk->arg, 'q', command->question, strlen(command->question));
		finish(talk, CONTROL_DONE);
	} else if (command->list) {
		start_list(talk, command->list);
	} else if (command->run) {
		finish(talk, command->run(&talk->call));
	} else {
		command_refuse(&talk->call, "'%s' is not complete: expected statements and end",
			       talk->call.path);
		finish(talk, CONTROL_USAGE);
	}
}

/* What was typed has no file; of a single line there is no number to tell either. */
static void refuse_config(struct talk *talk, const struct config_error *error, bool is_one_line)
{
	if (error->line == 0)
		command_refuse(&talk->call, "%s", error->text);
	else if (is_one_line)
		command_refuse(&talk->call, "'%s': %s", error->word, error->text);
	else
		command_refuse(&talk->call, "line %u: '%s': %s", error->line, error->word,
			       error->text);
	finish(talk, CONTROL_REFUSED);
}

static void configure(struct talk *talk, const struct request *request)
{
	struct config_error error = {.line = 0};
	struct config trial = *talk->ops->get_config(talk->node);
	int err;

	if (request->op == REQUEST_CHECK)
		err = config_statements(&trial, "command", request->text, request->text_len,
					&error);
	else
		err = talk->ops->apply(talk->node, request->text, request->text_len, &error);
	if (err < 0 && error.text[0] == '\0')
		snprintf(error.text, sizeof(error.text), "%s", strerror(-err));
	if (err < 0)
		refuse_config(talk, &error, !memchr(request->text, '\n', request->text_len));
	else
		finish(talk, CONTROL_DONE);
}

static void suggest(void *arg, const char *word, const char *help)
{
	struct talk *talk = arg;

	write_text(talk, word, strlen(word));
	write_text(talk, "\t", 1);
	write_text(talk, help, strlen(help));
	write_text(talk, "\n", 1);
}

static void complete(struct talk *talk, const struct request *request)
{
	if (request->context)
		statement_complete(talk->ops->get_config(talk->node), request->context,
				   request->in_edit, request->words, request->word_count, suggest,
				   talk);
	else
		command_complete(request->words, request->word_count, suggest, talk);
	finish(talk, CONTROL_DONE);
}

void talk_request(struct talk *talk, const char *json, size_t len)
{
	struct request request;
	const char *why = NULL;

	memset(&talk->call, 0, sizeof(talk->call));
	talk->call.ops = talk->ops;
	talk->call.node = talk->node;
	if (request_parse(json, len, &request, &why) < 0) {
		command_refuse(&talk->call, "%s", why);
		finish(talk, CONTROL_USAGE);
		return;
	}
	switch (request.op) {
	case REQUEST_RUN:
		run(talk, &request);
		break;
	case REQUEST_COMPLETE:
		complete(talk, &request);
		break;
	case REQUEST_CONFIG:
	case REQUEST_CHECK:
		configure(talk, &request);
		break;
	}
	request_fini(&request);
}

bool talk_is_busy(const struct talk *talk)
{
	return talk->list != NULL;
}

void talk_pause(struct talk *talk, bool is_paused)
{
	if (!talk->list || talk->is_paused == is_paused || !talk->ops->pause_sessions)
		return;
	talk->is_paused = is_paused;
	talk->ops->pause_sessions(talk->node, talk->walk, is_paused);
}

void talk_fini(struct talk *talk)
{
	if (talk->list)
		talk->ops->cancel_sessions(talk->node, talk->walk);
	talk->list = NULL;
}

void talk_give_up(struct talk *talk, const char *why)
{
	talk_fini(talk);
	talk->held = 0;
	command_refuse(&talk->call, "%s", why);
	finish(talk, CONTROL_REFUSED);
}
