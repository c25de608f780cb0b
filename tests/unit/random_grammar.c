// SPDX-License-Identifier: MIT
/* See random_grammar.h: each way that a text can be read is tried. */
#include "random_grammar.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

/* --- random grammars, and a plain way to match them --------------------------------------------
 */

enum { RULES = 4, ITEMS = 400, LONGEST = RANDOM_LONGEST };

struct item {
	enum { LITERAL, CLASS, CALL, SEQUENCE, CHOICE, REPEAT } kind;
	char text[8];
	unsigned a, b; /* a repetition's counts, a class's range, a rule, children */
	unsigned child[4], children;
};

static struct {
	struct item items[ITEMS];
	unsigned count, roots[RULES];
	char text[1 << 16], *at;
	/* ends of rules by where they begin, a bit each; known by its top bit */
	uint32_t memo[RULES][LONGEST + 1];
	const char *input;
	unsigned length;
} made;

static unsigned random_item(unsigned depth)
{
	const unsigned n = made.count++,
		       kind = random_u32() % (depth > 3 || made.count > 60 ? 3 : 7);
	struct item *i = &made.items[n];

	*i = (struct item){ .kind = kind > REPEAT ? SEQUENCE : kind };
	switch (i->kind) {
	case LITERAL:
		for (unsigned k = random_u32() % 3; k < 2; k++)
			i->text[strlen(i->text)] = (char)('a' + random_u32() % 3);
		made.at += sprintf(made.at, "\"%s\" ", i->text);
		break;
	case CLASS:
		i->a = 'a' + random_u32() % 3;
		i->b = i->a + random_u32() % (unsigned)('d' - i->a);
		made.at += sprintf(made.at, "[%c-%c] ", i->a, i->b);
		break;
	case CALL:
		i->a = random_u32() % RULES;
		made.at += i->a ? sprintf(made.at, "r%u ", i->a) : sprintf(made.at, "root ");
		break;
	case SEQUENCE:
	case CHOICE:
		made.at += sprintf(made.at, "( ");
		for (i->children = 0; i->children < 2 + random_u32() % 2; i->children++) {
			if (i->kind == CHOICE && i->children)
				made.at += sprintf(made.at, "| ");
			i->child[i->children] = random_item(depth + 1);
		}
		made.at += sprintf(made.at, ") ");
		break;
	case REPEAT:
		i->child[0] = random_item(depth + 1);
		i->a = random_u32() % 3;
		i->b = random_u32() % 3 ? i->a + random_u32() % 3 : 1000;
		made.at += i->b == 1000 ? sprintf(made.at, "{%u,} ", i->a)
					: sprintf(made.at, "{%u,%u} ", i->a, i->b);
	}
	return n;
}

const char *random_grammar(void)
{
	made.count = 0;
	made.at = made.text;
	for (unsigned r = 0; r < RULES; r++) {
		made.at += r ? sprintf(made.at, "\nr%u ::= ", r) : sprintf(made.at, "root ::= ");
		made.roots[r] = random_item(0);
	}
	return made.text;
}

/* Where it may end, a bit each, when it begins at one of @starts. */
static uint32_t ends_of(unsigned item, uint32_t starts)
{
	const struct item *i = &made.items[item];
	uint32_t ends = 0, all;
	const size_t length = strlen(i->text);

	switch (i->kind) {
	case LITERAL:
		for (unsigned p = 0; p + length <= made.length; p++)
			if (starts >> p & 1 && !memcmp(made.input + p, i->text, length))
				ends |= 1u << (p + length);
		return ends;
	case CLASS:
		for (unsigned p = 0; p < made.length; p++)
			if (starts >> p & 1 && made.input[p] >= (char)i->a &&
			    made.input[p] <= (char)i->b)
				ends |= 2u << p;
		return ends;
	case CALL:
		for (unsigned p = 0; p <= made.length; p++) {
			if (!(starts >> p & 1))
				continue;
			/* what begins with itself here is part of no text, or it would be refused
			 */
			if (!made.memo[i->a][p]) {
				made.memo[i->a][p] = 1u << 31;
				made.memo[i->a][p] |= ends_of(made.roots[i->a], 1u << p);
			}
			ends |= made.memo[i->a][p] & ~(1u << 31);
		}
		return ends;
	case SEQUENCE:
		for (unsigned c = 0; c < i->children; c++)
			starts = ends_of(i->child[c], starts);
		return starts;
	case CHOICE:
		for (unsigned c = 0; c < i->children; c++)
			ends |= ends_of(i->child[c], starts);
		return ends;
	default:
		for (unsigned c = 0; c < i->a; c++)
			starts = ends_of(i->child[0], starts);
		all = starts;
		for (unsigned c = i->a; c < i->b && starts; c++) {
			starts = ends_of(i->child[0], starts) & ~(i->b == 1000 ? all : 0);
			all |= starts;
		}
		return all;
	}
}

bool random_grammar_matches(const char *text, unsigned length)
{
	made.input = text;
	made.length = length;
	memset(made.memo, 0, sizeof(made.memo));
	return ends_of(made.roots[0], 1) >> length & 1;
}
