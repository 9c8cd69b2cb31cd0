/* log.c: one line per decision, to stderr, for the journal or for a person */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A longer line is cut; one write() per line keeps the lines of two threads apart. */
enum { LINE_BYTES = 1024 };

static const struct {
	const char *name;
	const char *tag; /* as wide as the others */
	int priority;    /* syslog(3), as sd-daemon(3) wants it in the prefix */
} levels[] = {
	[LOG_LEVEL_ERR] = { "error", "ERROR", 3 },
	[LOG_LEVEL_WARN] = { "warning", "WARN ", 4 },
	[LOG_LEVEL_INFO] = { "info", "INFO ", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", "DEBUG", 7 },
};

static atomic_int max_level = LOG_LEVEL_INFO;
static atomic_bool journal;

void log_set_level(enum log_level level)
{
	atomic_store(&max_level, (int)level);
}

void log_set_journal(int is_journal)
{
	atomic_store(&journal, is_journal != 0);
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(name, levels[i].name) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Appends as snprintf does, but stays inside the line. */
__attribute__((format(printf, 3, 0))) static size_t append(char *line, size_t len, const char *fmt,
							   va_list ap)
{
	int n = vsnprintf(line + len, LINE_BYTES - len, fmt, ap);

	if (n < 0)
		return len;
	len += (size_t)n;
	return len < LINE_BYTES ? len : LINE_BYTES - 1;
}

__attribute__((format(printf, 3, 4))) static size_t put(char *line, size_t len, const char *fmt,
							...)
{
	va_list ap;

	va_start(ap, fmt);
	len = append(line, len, fmt, ap);
	va_end(ap);
	return len;
}

static size_t put_head(char *line, enum log_level level, const char *room)
{
	struct timespec ts;
	struct tm tm;
	size_t len;

	if (atomic_load(&journal))
		return put(line, 0, "<%d>%s: ", levels[level].priority, room);
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	len = strftime(line, LINE_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	return put(line, len, ".%03ld %s %s: ", ts.tv_nsec / 1000000, levels[level].tag, room);
}

__attribute__((format(printf, 4, 0))) static void emit(enum log_level level, bool with_errno,
						       const char *room, const char *fmt,
						       va_list ap)
{
	char line[LINE_BYTES + 1];
	int saved = errno;
	char reason[128];
	size_t len;
	ssize_t n;

	if ((int)level > atomic_load(&max_level))
		return;
	len = put_head(line, level, room);
	len = append(line, len, fmt, ap);
	if (with_errno)
		len = put(line, len, ": %s", strerror_r(saved, reason, sizeof(reason)));
	/* Texts from outside may hold line breaks; a forged second line must not come of it. */
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	}
	line[len++] = '\n';
	n = write(STDERR_FILENO, line, len);
	(void)n; /* nobody is left to tell */
	errno = saved;
}

#define LOG_FN(fn, level, with_errno)                                                              \
	void fn(const char *room, const char *fmt, ...)                                            \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, fmt);                                                                 \
		emit(level, with_errno, room, fmt, ap);                                            \
		va_end(ap);                                                                        \
	}

LOG_FN(log_err, LOG_LEVEL_ERR, true)
LOG_FN(log_errx, LOG_LEVEL_ERR, false)
LOG_FN(log_warn, LOG_LEVEL_WARN, true)
LOG_FN(log_warnx, LOG_LEVEL_WARN, false)
LOG_FN(log_info, LOG_LEVEL_INFO, false)
LOG_FN(log_debug, LOG_LEVEL_DEBUG, false)
