/* SPDX-License-Identifier: MIT */
/*
 * The values of a running template, which are Python's as far as templates see them, and the job
 * that owns them.  All memory of a job is one arena; an error leaves it with longjmp(), as in any
 * small interpreter, so that no function between has to pass it on.
 */
#ifndef STOKER_TEMPLATE_VALUE_H
#define STOKER_TEMPLATE_VALUE_H

#include <setjmp.h>

#include "base/arena.h"
#include "base/base.h"
#include "stoker/template.h"

/* What a hostile template may cost. */
enum {
	MAX_STEPS = 4000000, /* nodes of the tree, and what built-in functions do for long */
	MAX_CALLS = 64,	     /* macros inside each other */
	MAX_DEPTH = 640,     /* evaluations inside each other */
	MAX_HEIGHT = 200,    /* of an expression's tree */
	MAX_NESTING = 100,   /* of statements and parentheses */
	MAX_OUTPUT = 16 << 20,
	MAX_RANGE = 100000,
	MAX_SOURCE = 4 << 20,
	MAX_MEMORY = 192 << 20,
	SLOW = 16,	     /* the work of what is done with each single character */
	WORK_PER_STEP = 128, /* bytes or elements looked at */
};

struct output;

struct job {
	struct arena arena;
	const char *name, *source; /* for messages */
	size_t source_bytes;
	uint32_t line;
	struct stoker_error *err;
	int code;
	jmp_buf out;
	/* of a run alone */
	struct value *globals; /* by symbol */
	struct output *output;
	const struct value *block_input; /* of the filters of a block */
	uint64_t steps, work;		 /* work that makes no whole step yet */
	uint64_t salt; /* of hashes, so that nobody can make keys whose hashes are the same */
	unsigned depth, calls;
	int64_t now;
	struct tree *tree;
	void *parsed; /* JSON that is being converted */
};

/* job.c */
_Noreturn void job_fail(struct job *j, int code, const char *fmt, ...) PRINTF(3, 4);
void *job_alloc(struct job *j, size_t bytes);
/* The same memory larger; what was there is copied. */
void *job_grow(struct job *j, const void *old, size_t old_bytes, size_t bytes);
void job_free(struct job *j);
void job_step(struct job *j, uint64_t steps);
void job_enter(struct job *j);

static inline void job_work(struct job *j, size_t amount)
{
	j->work += amount;
	if (j->work >= WORK_PER_STEP) {
		job_step(j, j->work / WORK_PER_STEP);
		j->work %= WORK_PER_STEP;
	}
}

static inline void job_leave(struct job *j)
{
	j->depth--;
}

enum value_kind {
	VALUE_ABSENT, /* no value: an argument that wasn't given, a name without one */
	VALUE_UNDEFINED,
	VALUE_NONE,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_FLOAT,
	VALUE_TEXT,
	VALUE_SEQUENCE,
	VALUE_DICT,
	VALUE_NAMESPACE,
	VALUE_BUILTIN,
	VALUE_METHOD,
	VALUE_MACRO,
	VALUE_LOOP,
	VALUE_CYCLER,
	VALUE_JOINER,
};

/*
 * Text is never changed.  @marks are the stretches that messages wrote, in order; neighbours may
 * touch.  Everything else is the template's.
 */
struct text {
	const char *data; /* valid UTF-8, no NUL behind it */
	size_t bytes, characters;
	const struct stoker_span *marks;
	size_t mark_count;
	size_t room; /* memory behind @data; 0: nothing may be appended in place */
	size_t *used;
	size_t mark_room; /* the same of @marks */
	size_t *marks_used;
	bool safe; /* HTML that isn't escaped again */
};

enum flavour {
	FLAVOUR_LIST,
	FLAVOUR_TUPLE,
	FLAVOUR_ITERATOR, /* what filters give: passed over once */
	FLAVOUR_KEYS,
	FLAVOUR_VALUES,
	FLAVOUR_ITEMS,
	FLAVOUR_RANGE, /* without items */
	FLAVOUR_GROUP, /* of groupby: a pair with names */
};

struct value {
	uint8_t kind;
	uint8_t owner; /* of an undefined one: the kind that hasn't got it */
	union {
		bool truth;
		int64_t integer;
		double real;
		const char *missing; /* of an undefined one: its name, or NULL */
		const struct text *text;
		struct sequence *sequence;
		struct dict *dict; /* a namespace's too */
		const struct builtin *builtin;
		struct bound *bound;
		struct macro *macro;
		struct loop *loop;
		struct cycler *cycler;
	};
};

struct sequence {
	enum flavour flavour;
	struct value *items;
	size_t count, room;
	size_t next;	     /* of an iterator */
	int64_t start, step; /* of a range */
};

struct entry {
	struct value key, value;
	uint64_t hash;
};

/* In the order in which keys came. */
struct dict {
	struct entry *entries;
	size_t count, room;
	uint32_t *index; /* entry + 1 by hash, once there are several */
	size_t mask;
};

struct cycler {
	struct value *items;
	size_t count, next;
	const struct text *separator; /* of a joiner */
};

struct keyword {
	const struct text *name;
	struct value value;
};

struct arguments {
	struct value *values;
	size_t count;
	struct keyword *keywords;
	size_t keyword_count;
};

/*
 * A filter, test, method or function.  @parameters are its names, separated by spaces, of which the
 * first @required have to be given; @a has a value or VALUE_ABSENT for each.  NULL: it takes what
 * comes, in @all.
 */
typedef struct value builtin_fn(struct job *j, struct value self, const struct value *a,
				const struct arguments *all);
struct builtin {
	const char *name, *parameters;
	unsigned required;
	builtin_fn *call;
};

struct bound {
	struct value self;
	const struct builtin *method;
};

/* value.c */
#define NONE ((struct value){ .kind = VALUE_NONE })
#define ABSENT ((struct value){ .kind = VALUE_ABSENT })

static inline struct value boolean(bool truth)
{
	return (struct value){ .kind = VALUE_BOOL, .truth = truth };
}

static inline struct value integer(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .integer = i };
}

static inline struct value real(double d)
{
	return (struct value){ .kind = VALUE_FLOAT, .real = d };
}

static inline struct value text_value(const struct text *t)
{
	return (struct value){ .kind = VALUE_TEXT, .text = t };
}

static inline struct value undefined(const char *name)
{
	return (struct value){ .kind = VALUE_UNDEFINED, .missing = name };
}

static inline bool is_number(struct value v)
{
	return v.kind == VALUE_BOOL || v.kind == VALUE_INT || v.kind == VALUE_FLOAT;
}

static inline bool is_flavour(struct value v, enum flavour f)
{
	return v.kind == VALUE_SEQUENCE && v.sequence->flavour == f;
}

static inline bool is_tuple(struct value v)
{
	return is_flavour(v, FLAVOUR_TUPLE) || is_flavour(v, FLAVOUR_GROUP);
}

static inline bool is_given(struct value v)
{
	return v.kind != VALUE_ABSENT;
}

const char *type_name(struct value v);
/* Refuses the use of an undefined value, as Python would. */
void need_defined(struct job *j, struct value v);
bool truth(struct value v);
bool values_equal(struct job *j, struct value a, struct value b);
/* <0, 0, >0; 2 for what is no number's order (NaN); refuses what has no order. */
int values_compare(struct job *j, struct value a, struct value b, const char *operator);
uint64_t value_hash(struct job *j, struct value v);
bool contains(struct job *j, struct value container, struct value item);
/* Number of elements or characters; refuses what has none. */
size_t value_length(struct job *j, struct value v);

/* sequence.c */
struct sequence *new_sequence(struct job *j, enum flavour flavour, size_t room);
struct value sequence_value(struct sequence *s);
void sequence_add(struct job *j, struct sequence *s, struct value v);
struct value sequence_at(const struct sequence *s, size_t i);
/* All elements of anything that can be passed over. */
struct sequence *to_sequence(struct job *j, struct value v, enum flavour flavour);
/* An iterator over anything; element by element. */
struct iteration {
	struct value of;
	size_t at;	   /* element, entry, or byte */
	size_t dict_count; /* what it was */
};
struct iteration iterate(struct job *j, struct value v);
bool iterate_next(struct job *j, struct iteration *i, struct value *item);
/* Stable; @keys are those of @items, which are put in their order. */
void sort_values(struct job *j, struct value *items, struct value *keys, size_t count,
		 bool reverse);
struct value slice_value(struct job *j, struct value v, struct value start, struct value stop,
			 struct value step);

/* dict.c */
struct dict *new_dict(struct job *j);
struct value dict_value(struct dict *d);
struct value dict_view(struct job *j, struct dict *d, enum flavour flavour);
/* NULL when the key isn't there. */
struct value *dict_get(struct job *j, const struct dict *d, struct value key);
void dict_set(struct job *j, struct dict *d, struct value key, struct value value);
void dict_remove(struct job *j, struct dict *d, const struct value *value);

/* number.c */
enum operator{
	OPERATOR_ADD,
	OPERATOR_SUB,
	OPERATOR_MUL,
	OPERATOR_DIV,
	OPERATOR_FLOORDIV,
	OPERATOR_MOD,
	OPERATOR_POW,
};
struct value arithmetic(struct job *j, enum operator op, struct value a, struct value b);
struct value negative(struct job *j, struct value v);
double to_real(struct value v);
/* An index or count; refuses what is no whole number. */
int64_t to_integer(struct job *j, struct value v, const char *what);
/* As Python's repr() of a float. */
size_t real_repr(struct job *j, double d, char out[40]);
/* A whole text as a number; false when it is none. */
bool parse_real(const char *text, size_t bytes, double *out);
bool parse_integer(const char *text, size_t bytes, int base, int64_t *out, bool *too_large);
struct value real_to_integer(struct job *j, double d);

#endif
