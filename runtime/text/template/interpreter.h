/* SPDX-License-Identifier: MIT */
/* Running a tree: scopes, loops, macros, calls. */
#ifndef STOKER_TEMPLATE_INTERPRETER_H
#define STOKER_TEMPLATE_INTERPRETER_H

#include "text/template/tree.h"

struct slot {
	uint32_t symbol;
	struct value value;
};

/* Names of a loop's turn, a macro's call and the like; the outermost ones are the job's. */
struct scope {
	struct scope *parent; /* NULL: the outermost */
	struct slot *slots;
	uint32_t count, room;
	bool kept; /* by a macro that was made here */
};

struct macro {
	const struct node *node;
	struct scope *scope;
};

struct loop {
	const struct node *node;
	struct scope *scope; /* around the loop */
	struct value source;
	struct iteration iteration;
	struct scope *test_scope;
	struct value previous, current, after, changed;
	int64_t index0, length;
	bool passed; /* what is left has passed the test already */
	unsigned depth0;
};

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

struct scope *new_scope(struct job *j, struct scope *parent, const uint32_t *missing);
void assign(struct job *j, struct scope *s, uint32_t symbol, struct value v);
struct value lookup(struct job *j, const struct scope *s, const struct node *name);
struct value evaluate(struct job *j, struct scope *s, const struct node *n);
/* The filters of a block over its text. */
struct value evaluate_filters(struct job *j, struct scope *s, const struct node *filters,
			      const struct text *t);
enum flow run_list(struct job *j, struct scope *s, const struct node *list);
/* What a list of statements writes. */
const struct text *run_captured(struct job *j, struct scope *s, const struct node *list,
				enum flow *flow);

/* loop.c */
enum flow run_for(struct job *j, struct scope *s, const struct node *n);
struct value loop_call(struct job *j, struct loop *l, const struct arguments *all);
struct value loop_attribute(struct job *j, struct loop *l, const struct text *name);
void assign_target(struct job *j, struct scope *s, const struct node *target, struct value v);

/* call.c */
struct value evaluate_call(struct job *j, struct scope *s, const struct node *n);
struct value evaluate_filter(struct job *j, struct scope *s, const struct node *n);
bool evaluate_test(struct job *j, struct scope *s, const struct node *n);
struct value make_macro(struct job *j, struct scope *s, const struct node *n);
enum flow run_call_block(struct job *j, struct scope *s, const struct node *n);
struct value call_value(struct job *j, struct value callee, const struct arguments *all);
struct value call_builtin(struct job *j, const struct builtin *b, struct value self,
			  const struct arguments *all);

/* attribute.c: value.name, value[index] */
struct value attribute(struct job *j, struct value v, const struct text *name);
struct value item(struct job *j, struct value v, struct value index);
/* As filters take it: "a.b.0", or an index; ABSENT and none are the value itself. */
struct value attribute_path(struct job *j, struct value v, struct value path);

#endif
