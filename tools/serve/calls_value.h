/* SPDX-License-Identifier: MIT */
/* Values that a model writes, made JSON while they come. */
#ifndef STOKER_SERVE_CALLS_VALUE_H
#define STOKER_SERVE_CALLS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text;

enum { VALUE_DEPTH = 64, VALUE_WORD = 64, VALUE_KEY = 4096 };

enum value_form {
	VALUE_JSON,
	VALUE_LOOSE,  /* Python's True, 'text', words without quotes, too */
	VALUE_CALLED, /* key=value, ... up to a closing parenthesis, as an object */
};

enum value_state { VALUE_MORE, VALUE_DONE, VALUE_BROKEN };

struct value {
	enum value_form form;
	const char *quote; /* stands around strings too, without escapes inside; or NULL */
	int at;		   /* what comes next */
	uint64_t objects;  /* a bit for each of the */
	unsigned depth;	   /* open brackets */
	char closing;	   /* of the string: its quote, 0: @quote */
	size_t quoted;	   /* bytes of @quote that have come */
	unsigned digits;   /* still to come in an escape */
	size_t word_bytes;
	char word[VALUE_WORD];
	bool key; /* the string or the word is one */
	bool started;
	struct text *pending; /* a key, until it is one */
};

/* @pending: for the value alone, until it's done. */
void value_begin(struct value *v, enum value_form form, const char *quote, struct text *pending);
/*
 * Goes on with @data and adds JSON to @out; *@used bytes belonged to the value.  @final: nothing
 * else comes.  Once it's broken only value_begin() may follow.
 */
enum value_state value_read(struct value *v, const char *data, size_t bytes, bool final,
			    struct text *out, size_t *used);

/* Bytes of a JSON string, without its quotes. */
void json_escape(struct text *out, const char *data, size_t bytes);

#endif
