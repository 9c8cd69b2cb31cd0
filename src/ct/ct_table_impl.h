/* ct_table_impl.h: what the text and the upkeep of table inet flowkeep share */
#ifndef FK_CT_CT_TABLE_IMPL_H
#define FK_CT_CT_TABLE_IMPL_H

#include "ct/ct_table.h"

#define CT_TABLE_NAME     "flowkeep"
/* What is not answered while alone: TCP, and the port unreachables of ICMP and ICMPv6. */
#define CT_TABLE_ALONE    "1, 6, 58"
#define CT_TABLE_TEXT_MAX 4096

/* As ct_table_text(), with or without `flags owner`. */
size_t ct_table_text_of(const struct ct_table_config *config, bool is_owned, char *out,
			size_t size);
/* As ct_table_open(); without `is_owned` the plain table of kernels that refuse `flags owner`. */
int ct_table_open_as(struct loop *loop, const struct ct_table_config *config, bool is_owned,
		     struct ct_table **ret_table);

#endif
