/* ct_nl.h: where the fields of a session live in a ctnetlink message (made from schema/ct.toml) */
#ifndef FK_CT_CT_NL_H
#define FK_CT_CT_NL_H

#include "schema.h"

enum {
	CT_NL_TYPES = 32,     /* above every attribute type of interest, in any nest */
	CT_NL_NESTS_MAX = 16, /* the message itself counts as one */
	CT_NL_FIELD = 0x40,   /* | enum ct_field */
	CT_NL_NEST = 0x80,    /* | row of the table */
	CT_NL_NUMBER = 0x3f,
};

/* The attributes of a message (row 0) or of one nest, by type; 0: not of interest. */
struct ct_nl_nest {
	uint8_t what[CT_NL_TYPES];
};

extern const struct ct_nl_nest ct_nl_nests[];

#endif
