/* ct_nl.h: where each field of a session lives in a ctnetlink message (table generated from schema/ct.toml) */
#ifndef FK_CT_CT_NL_H
#define FK_CT_CT_NL_H

#include "schema.h"

struct ct_nl_path {
	enum ct_field field;
	unsigned depth;
	uint16_t attr[3]; /* CTA_*, outermost first */
};

extern const struct ct_nl_path ct_nl_paths[];
extern const unsigned ct_nl_path_count;

#endif
