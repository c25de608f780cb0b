/* SPDX-License-Identifier: MIT */
/* Tables of filters, tests, methods and functions, a file each. */
#ifndef STOKER_TEMPLATE_BUILTINS_H
#define STOKER_TEMPLATE_BUILTINS_H

#include "text/template/interpreter.h"

struct builtins {
	const struct builtin *list;
	size_t count;
};

extern const struct builtins text_filters, sequence_filters, value_filters;
extern const struct builtins text_methods;
extern const struct builtin function_of_dict, function_of_namespace;

/* The argument as text, number or flag, or what it is when it isn't given. */
static inline bool flag_or(struct value v, bool fallback)
{
	return is_given(v) ? truth(v) : fallback;
}

static inline int64_t integer_or(struct job *j, struct value v, int64_t fallback, const char *what)
{
	return is_given(v) && v.kind != VALUE_NONE ? to_integer(j, v, what) : fallback;
}

/* Refuses what isn't text. */
const struct text *need_text(struct job *j, struct value v, const char *what);
const struct builtin *find_builtin_in(const struct builtins *table, const char *name, size_t bytes);

/* filters_sequence.c: order without regard to case */
struct value without_case(struct job *j, struct value v);

/* methods_text.c */
const struct text *centered(struct job *j, const struct text *t, int64_t width,
			    const struct text *fill, char align);
struct value split_lines(struct job *j, const struct text *t, bool keep);

#endif
