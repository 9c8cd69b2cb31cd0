/* caps.h: least privilege: what the daemon keeps of root, and raising one of it for a moment
 *
 * Capabilities are a thread's; both functions speak of the calling one, and threads started later
 * inherit. See capabilities(7).
 */
#ifndef FK_BASE_CAPS_H
#define FK_BASE_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>

/* Gives up everything but `keep`; what is in `dormant` too stays permitted but not in effect.
 * 0 or negative errno. Capabilities that the process never had are no error. */
int caps_keep(const cap_value_t *keep, size_t count, const cap_value_t *dormant,
	      size_t dormant_count);
/* Puts one in effect, or lays it down again; nothing happens when it is not permitted. */
void caps_raise(cap_value_t cap, bool is_raised);

#endif
