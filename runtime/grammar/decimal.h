/* SPDX-License-Identifier: MIT */
/* Numbers as they are written, exactly, and the texts of those between two of them. */
#ifndef STOKER_GRAMMAR_DECIMAL_H
#define STOKER_GRAMMAR_DECIMAL_H

#include "grammar/json_tree.h"

enum {
	DECIMAL_DIGITS = 18, /* in front of the point, and as many behind it */
};

struct decimal {
	bool negative;
	int whole;  /* digits in front of the point, none of them a leading 0; not below 0 */
	int digits; /* all of them, none of them a 0 at the end of the fraction */
	char digit[2 * DECIMAL_DIGITS + 1];
	bool huge, tiny; /* there are more digits in front of or behind the point than these */
};

struct decimal decimal_of(const struct json *number);
/* As strcmp(); neither is huge or tiny. */
int decimal_compare(const struct decimal *a, const struct decimal *b);
bool decimal_is_whole(const struct json *number);
bool decimal_same(struct translation *t, const struct json *a, const struct json *b);

struct bound {
	const struct json *from; /* the keyword's value; NULL: there is none */
	struct decimal value;
	bool exclusive;
};

/* Numbers between them, without an exponent, of up to DECIMAL_DIGITS digits before and behind the
 * point. */
const struct expression *decimals_between(struct translation *t, const struct bound *low,
					  const struct bound *high, bool whole);

#endif
