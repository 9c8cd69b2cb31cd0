/* drop.c: the texts and short names of the reasons in drop.h */
#include "base/drop.h"

static const struct {
	const char *name;
	const char *text;
} reasons[DROP_REASON_COUNT] = {
#define X(name, short_name, text) [DROP_##name] = { #short_name, text },
	DROP_REASONS(X)
#undef X
};

const char *drop_text(enum drop_reason reason)
{
	return (unsigned)reason < DROP_REASON_COUNT ? reasons[reason].text : "unknown";
}

const char *drop_name(enum drop_reason reason)
{
	return (unsigned)reason < DROP_REASON_COUNT ? reasons[reason].name : "unknown";
}
