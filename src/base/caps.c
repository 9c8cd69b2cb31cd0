/* caps.c: what the daemon keeps of root */
#include "base/caps.h"

#include <errno.h>

static void copy(cap_t from, cap_t to, cap_flag_t flag, const cap_value_t *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cap_flag_value_t has = CAP_CLEAR;

		if (cap_get_flag(from, list[i], CAP_PERMITTED, &has) == 0 && has == CAP_SET)
			cap_set_flag(to, flag, 1, &list[i], CAP_SET);
	}
}

int caps_keep(const cap_value_t *keep, size_t count, const cap_value_t *dormant,
	      size_t dormant_count)
{
	cap_t now = cap_get_proc();
	cap_t less = cap_init();
	int error = now && less ? 0 : -ENOMEM;

	if (!error) {
		copy(now, less, CAP_PERMITTED, keep, count);
		copy(now, less, CAP_EFFECTIVE, keep, count);
		copy(now, less, CAP_PERMITTED, dormant, dormant_count);
		error = cap_set_proc(less) < 0 ? -errno : 0;
	}
	cap_free(now);
	cap_free(less);
	return error;
}

void caps_raise(cap_value_t cap, bool is_raised)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t has = CAP_CLEAR;

	if (caps && cap_get_flag(caps, cap, CAP_PERMITTED, &has) == 0 && has == CAP_SET) {
		cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, is_raised ? CAP_SET : CAP_CLEAR);
		cap_set_proc(caps);
	}
	cap_free(caps);
}
