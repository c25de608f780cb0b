/* SPDX-License-Identifier: MIT */
/* A parsed template: tokens, nodes, and the names it knows. */
#ifndef STOKER_TEMPLATE_TREE_H
#define STOKER_TEMPLATE_TREE_H

#include "text/template/text.h"

enum token_kind {
	TOKEN_END,
	TOKEN_DATA,
	TOKEN_BLOCK_BEGIN,
	TOKEN_BLOCK_END,
	TOKEN_VARIABLE_BEGIN,
	TOKEN_VARIABLE_END,
	TOKEN_NAME,
	TOKEN_TEXT,
	TOKEN_INT,
	TOKEN_FLOAT,
	TOKEN_OPERATOR,
};

struct template_token {
	enum token_kind kind;
	uint32_t line;
	const char *data; /* an operator's or name's spelling; data */
	size_t bytes;
	struct value value; /* of a literal */
};

/* All tokens of a job's source, the last a TOKEN_END. */
struct template_token *lex(struct job *j);

enum node_kind {
	/* statements; @body and @other are lists of them */
	NODE_DATA,	   /* text */
	NODE_OUTPUT,	   /* a */
	NODE_FOR,	   /* for a in b if c: body else: other; flag: recursive */
	NODE_IF,	   /* a: body, list b of elif, else: other */
	NODE_SET,	   /* a = b */
	NODE_SET_BLOCK,	   /* a = body, filters b */
	NODE_WITH,	   /* list a = list b: body */
	NODE_MACRO,	   /* symbol(list a): body */
	NODE_CALL_BLOCK,   /* call a, whose caller is b, a macro */
	NODE_FILTER_BLOCK, /* body, filters b */
	NODE_SCOPE,	   /* body; flag: sees only what is set outermost */
	NODE_BREAK,
	NODE_CONTINUE,
	/* expressions */
	NODE_CONSTANT,	/* constant */
	NODE_NAME,	/* symbol; as a parameter with default a */
	NODE_ATTRIBUTE, /* a.text */
	NODE_ITEM,	/* a[b] */
	NODE_SLICE,	/* a:b:c, an index */
	NODE_CALL,	/* a(list b, *c, list body of keywords, **other) */
	NODE_FILTER,	/* a | builtin(as NODE_CALL); a is NULL in a filter block */
	NODE_TEST,	/* a is builtin(as NODE_CALL) */
	NODE_KEYWORD,	/* text = a */
	NODE_NOT,
	NODE_NEGATIVE,
	NODE_POSITIVE,
	NODE_AND,
	NODE_OR,
	NODE_CONDITION,	 /* b if a else c */
	NODE_COMPARE,	 /* a, list b of operands */
	NODE_OPERAND,	 /* op a */
	NODE_ARITHMETIC, /* a op b */
	NODE_CONCAT,	 /* list a */
	NODE_LIST,	 /* list a */
	NODE_TUPLE,	 /* list a */
	NODE_DICT,	 /* list a of pairs */
	NODE_PAIR,	 /* a: b */
};

enum comparison {
	COMPARE_EQ,
	COMPARE_NE,
	COMPARE_LT,
	COMPARE_LE,
	COMPARE_GT,
	COMPARE_GE,
	COMPARE_IN,
	COMPARE_NOT_IN,
};

struct node {
	enum node_kind kind;
	uint8_t op; /* enum comparison, enum operator */
	bool flag, takes_caller, takes_varargs, takes_kwargs;
	uint16_t height;
	uint32_t line, symbol;
	struct node *next; /* in a list */
	struct node *a, *b, *c, *body, *other;
	union {
		const struct text *text;
		struct value constant;
		const struct builtin *builtin;
	};
	const char *name;  /* of what isn't known, for a message */
	uint32_t *missing; /* symbols without a value at the beginning, behind their count */
};

struct tree {
	struct node *body;
	uint32_t *missing;
	const struct text **symbols;
	uint32_t symbol_count;
	uint32_t caller, varargs, kwargs, loop; /* symbols */
};

/* Parses a job's source. */
struct tree *parse(struct job *j);

/* expressions.c and parser.c */
struct parser {
	struct job *j;
	struct template_token *token;
	unsigned nesting, loops;
	bool soft; /* in a branch: what isn't known is an error only when it is needed */
	struct dict *symbols;
	struct tree *tree;
	struct node *macro;	    /* whose body this is */
	const struct node *unknown; /* the first filter or test without a branch around it */
};

struct node *new_node(struct parser *p, enum node_kind kind);
struct node *parse_expression(struct parser *p);
struct node *parse_without_condition(struct parser *p);
struct node *parse_primary(struct parser *p);
/* With what follows it: attributes, calls and, unless it is an operand of a sign, filters. */
struct node *parse_unary(struct parser *p, bool filters);
/* Expressions between commas, up to the end of a tag, a parenthesis or the word @end. */
struct node *parse_tuple(struct parser *p, bool condition, bool parentheses, const char *end);
struct node *parse_filters(struct parser *p, struct node *input, bool begun);
uint32_t symbol_of(struct parser *p, const char *name, size_t bytes);
bool is_operator(const struct parser *p, const char *spelling);
bool is_name(const struct parser *p, const char *name);
bool skip_operator(struct parser *p, const char *spelling);
bool skip_name(struct parser *p, const char *name);
void expect_operator(struct parser *p, const char *spelling);
_Noreturn void unexpected(struct parser *p, const char *wanted);
void set_height(struct parser *p, struct node *n);
void nest(struct parser *p);

/* scopes.c: which names have no value where their scope begins. */
void find_missing(struct job *j, struct tree *tree);

/* Tables of what templates can call. */
const struct builtin *find_filter(const char *name, size_t bytes);
const struct builtin *find_test(const char *name, size_t bytes);
const struct builtin *find_method(struct value of, const char *name, size_t bytes);
const struct builtin *find_function(const char *name, size_t bytes);

#endif
