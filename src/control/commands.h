/* commands.h: the table of commands, and the walkers that match, explain and complete them
 *
 * A command is one row in commands.c and one function. Every word may be cut short as long as it
 * stays unique. A command either answers at once (`run`), or is a list of sessions that streams
 * (`list`); a row with neither is `config`, whose statements travel as text.
 */
#ifndef FK_CONTROL_COMMANDS_H
#define FK_CONTROL_COMMANDS_H

#include "control/control.h"
#include "control/render.h"

enum { COMMAND_WORDS = 6, COMMAND_PATH_MAX = 80, COMMAND_ERROR_MAX = 600 };

/* One command being carried out. */
struct command_call {
	const struct control_ops *ops;
	void *node;
	struct render render;
	bool is_json;
	uint32_t number;               /* the argument of a WORD_NUMBER */
	char path[COMMAND_PATH_MAX];   /* the argument of a WORD_PATH, words in full */
	char error[COMMAND_ERROR_MAX]; /* why it was refused, without a line break */
	uint64_t rows;                 /* sessions printed so far */
	int64_t epoch_s;               /* lists: when it began */
};

typedef enum control_exit command_fn(struct command_call *call);

struct command_list {
	void (*begin)(struct command_call *call);
	void (*row)(struct command_call *call, const struct session_row *row);
	void (*end)(struct command_call *call);
};

enum word_type {
	WORD_END,
	WORD_KEY,    /* this word */
	WORD_NUMBER, /* min..max */
	WORD_PATH,   /* the words of a configuration path: all that follow */
};

struct command_word {
	enum word_type type;
	const char *text; /* the word; for arguments what it is called */
	bool is_optional;
	uint32_t min, max;
};

struct command {
	struct command_word words[COMMAND_WORDS];
	const char *help;
	command_fn *run;
	const struct command_list *list;
	const char *question; /* asked on a terminal first */
};

extern const struct command commands[];
extern const unsigned command_count;

/* Finds the command of the words and fills number and path of the call. CONTROL_DONE, or
 * CONTROL_USAGE with call->error telling which word and what was expected. */
enum control_exit command_find(const char *const *words, unsigned count, struct command_call *call,
			       const struct command **ret_command);

typedef void command_suggest_fn(void *arg, const char *word, const char *help);
/* What may stand where the last word is (which may be empty). Arguments are told as <...>, a
 * finished command as <cr>. */
void command_complete(const char *const *words, unsigned count, command_suggest_fn *suggest,
		      void *arg);
/* The same for statements inside a config block. */
void statement_complete(const struct config *config, const char *path, bool in_edit,
			const char *const *words, unsigned count, command_suggest_fn *suggest,
			void *arg);
/* "get system ha status", "execute ha failover set [<vcluster-id>]" */
void command_format(const struct command *command, char *out, size_t size);

/* show_ha.c, show_ha_diagnose.c */
command_fn show_ha_status, show_ha_diagnose, show_ha_drops, show_ha_history;
/* show_session.c, show_sync.c */
command_fn show_session_status, show_session_sync, check_session_sync;
void show_sync_counters(struct render *render, const struct sync_view *view);
extern const struct command_list show_session_list, show_session_detail;
/* show_config.c */
command_fn show_config, show_config_full;
/* failover.c */
command_fn failover_set, failover_unset, failover_status;

/* Fills call->error; returns CONTROL_REFUSED. */
enum control_exit command_refuse(struct command_call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "2030-01-02 03:04:05" of an epoch time, with another separator in the date; local time. */
enum { DATE_STRLEN = 32 };
const char *format_date(int64_t epoch_s, char separator, char out[DATE_STRLEN]);
/* Inside an object: two members, one serial; `layout` says where {text} stands. */
void show_ha_twin(struct render *r, const char *layout, const struct ha_view *view);
/* The living member that is primary, its hostname ("" while it is not known). */
const char *ha_primary_hostname(const struct ha_view *view);
/* Place of a member in the order of serials, the highest is 0 (fortios-facts 1.3). */
unsigned ha_cluster_index(const struct ha_view *view, unsigned member);

#endif
