/* log.h: one line per decision, with the room that took it: log_warn("sync", "peer %s: ...", ...)
 *
 * The level is the only global state of the daemon. Lines go to stderr as
 * "<6>room: text" under systemd (SD_DAEMON prefixes; when JOURNAL_STREAM is set) and as
 * "TIME LEVEL room: text" otherwise. err/warn append strerror(errno); errx/warnx do not.
 */
#ifndef FK_BASE_LOG_H
#define FK_BASE_LOG_H

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
void log_set_journal(int is_journal);
/* 0 and the level for "error", "warning", "info", "debug"; -EINVAL otherwise. */
int log_level_parse(const char *name, enum log_level *ret_level);

void log_err(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_errx(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warnx(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_debug(const char *room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
