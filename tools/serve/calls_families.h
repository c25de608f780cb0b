/* SPDX-License-Identifier: MIT */
/* How models of one kind write calls of tools: what reader and grammar take from a table. */
#ifndef STOKER_SERVE_CALLS_FAMILIES_H
#define STOKER_SERVE_CALLS_FAMILIES_H

#include <stdbool.h>
#include <stddef.h>

enum call_style {
	STYLE_OBJECT, /* {"name": NAME, "arguments": {...}} */
	STYLE_KEYED,  /* {NAME: {...}} */
	STYLE_NAMED,  /* NAME and, apart, the arguments as a JSON object */
	STYLE_TAGS,   /* NAME and a pair of tags for each argument */
	STYLE_PYTHON, /* NAME(key=value, ...) */
	STYLE_LOOSE,  /* NAME{key:value, ...}, with quotes of its own */
};

enum { CALL_BEGINS = 3 };

/*
 * One or more calls are written so; what is NULL isn't there:
 *
 *	begin  ( open name_open NAME name_close ARGUMENTS args_close close )...  end
 *
 * STYLE_TAGS has "key_open KEY key_close value_open VALUE value_close" for each of the arguments.
 * White space between marks is what the grammar writes; the reader takes any.
 */
struct call_family {
	const char *name;
	enum call_style style;
	const char *begin[CALL_BEGINS]; /* others than the first are read, not written */
	const char *end[CALL_BEGINS];
	bool list;     /* [ and ] around the calls, commas between them */
	bool at_start; /* without begin, too, where the answer begins with a bracket */
	bool one;      /* never several at once */
	bool harmony;  /* calls are messages, whose headers name the tool */
	const char *open, *close;
	const char *name_open, *name_close;
	const char *name_ends[2]; /* these end it, too, and are what comes next */
	const char *name_prefix;  /* in front of the tool's name */
	const char *id_open;	  /* behind the name, in front of the id, which name_close ends */
	bool id_first;		  /* the id is between open and name_open */
	bool name_is_id;	  /* the name with prefix and ":NUMBER" is the id */
	/* STYLE_OBJECT: as they are written; all the usual ones are read */
	const char *name_key, *args_key, *id_key;
	bool id_number; /* ids come first and are "0", "1", ...; otherwise last, nine letters */
	bool indented;	/* lines and indentation between the marks of JSON */
	const char *args_close;
	const char *key_open, *key_close;
	const char *key_tail;	/* behind key_close are attributes, up to this */
	const char *string_key; /* how a key closes that has a string, if it matters */
	const char *other_key;	/* and how one that has something else; NULL: by its type */
	const char *value_open, *value_close;
	const char *wrap_open, *wrap_close; /* may stand around a value */
	bool lines;			    /* a value has lines of its own */
	const char *gap;		    /* white space between marks */
	const char *between;		    /* and between calls */
	const char *quote;		    /* around strings, STYLE_LOOSE */
};

/* Number @index, NULL behind the last; the last is "generic". */
const struct call_family *call_family_at(size_t index);

#endif
