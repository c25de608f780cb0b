/* SPDX-License-Identifier: MIT */
/* Text of templates: characters, marks, building. */
#ifndef STOKER_TEMPLATE_TEXT_H
#define STOKER_TEMPLATE_TEXT_H

#include "text/template/value.h"

/* A text under construction, of which the marks are kept in order and joined where they touch. */
struct output {
	char *data;
	size_t bytes, room, characters, limit;
	struct stoker_span *marks;
	size_t mark_count, mark_room;
};

void put_text(struct job *j, struct output *o, const struct text *t);
/* Part of a text, [begin, end) in bytes. */
void put_part(struct job *j, struct output *o, const struct text *t, size_t begin, size_t end);
/* The template's own. */
void put(struct job *j, struct output *o, const char *data, size_t bytes);
void put_string(struct job *j, struct output *o, const char *data);
/* Replaces characters of @like: marked where the byte at @at was. */
void put_like(struct job *j, struct output *o, const char *data, size_t bytes,
	      const struct text *like, size_t at);
const struct text *output_text(struct job *j, struct output *o);
/* Everything from byte @begin on comes from a message. */
void mark_from(struct job *j, struct output *o, size_t begin);

/* Bytes that aren't UTF-8 become U+FFFD. */
const struct text *new_text(struct job *j, const char *data, size_t bytes, bool marked);
/* A constant of this library, which isn't copied. */
const struct text *constant(struct job *j, const char *string);
struct value constant_value(struct job *j, const char *string);
/* The bytes [begin, end), which are whole characters. */
const struct text *text_part(struct job *j, const struct text *t, size_t begin, size_t end);
const struct text *text_concat(struct job *j, const struct text *a, const struct text *b);
const struct text *text_repeat(struct job *j, const struct text *t, int64_t times);
struct value text_character(struct job *j, const struct text *t, size_t begin);
bool text_is(const struct text *t, const char *string);
bool texts_equal(const struct text *a, const struct text *b);
bool is_marked(const struct text *t);
const struct text *escaped(struct job *j, const struct text *t);

/* Byte of character number @index, which is at most t->characters. */
size_t byte_of(const struct text *t, size_t index);
/* Characters before byte @at. */
size_t characters_before(struct job *j, const struct text *t, size_t at);
/* Length in bytes and code point of the character at @at. */
size_t character_at(const struct text *t, size_t at, uint32_t *c);
/* memmem(), paid for as work. */
const char *text_search(struct job *j, const char *in, size_t bytes, const char *part,
			size_t part_bytes);
/* SIZE_MAX: not found. */
size_t text_find(struct job *j, const struct text *t, const struct text *part, size_t begin,
		 size_t end);
size_t text_find_last(struct job *j, const struct text *t, const struct text *part, size_t begin,
		      size_t end);
bool is_space(uint32_t c);
/* Strips @chars, or white space when that is NULL. */
const struct text *text_strip(struct job *j, const struct text *t, const struct text *chars,
			      bool left, bool right);
const struct text *text_replace(struct job *j, const struct text *t, const struct text *old,
				const struct text *by, int64_t most);
/* @t, safe HTML if @like is. */
const struct text *safe_like(struct job *j, const struct text *t, const struct text *like);
/* Number of bytes of a line's end at @at, 0 when there is none. */
size_t line_end(const struct text *t, size_t at);

/* case.c */
const struct text *text_upper(struct job *j, const struct text *t);
const struct text *text_lower(struct job *j, const struct text *t);
const struct text *text_capitalize(struct job *j, const struct text *t);
const struct text *text_title(struct job *j, const struct text *t);
/* As the filter has it: words begin behind white space, hyphens and opening brackets. */
const struct text *text_title_words(struct job *j, const struct text *t);
const struct text *text_swapcase(struct job *j, const struct text *t);
enum character_class {
	CLASS_ALPHA,
	CLASS_DIGIT,
	CLASS_DECIMAL,
	CLASS_NUMERIC,
	CLASS_ALNUM,
	CLASS_SPACE,
	CLASS_ASCII,
	CLASS_PRINTABLE,
	CLASS_IDENTIFIER,
};
/* Whether all characters are of a class; false for an empty text. */
bool text_is_all(const struct text *t, enum character_class class);
bool is_word(uint32_t c);
bool is_printable(uint32_t c);
bool text_is_cased(const struct text *t, bool upper);
bool text_is_title(const struct text *t);

/* print.c */
const struct text *to_text(struct job *j, struct value v);
void print_value(struct job *j, struct output *o, struct value v);
void print_repr(struct job *j, struct output *o, struct value v);
const struct text *repr_text(struct job *j, struct value v);

/* format.c */
/* "%s" % values */
const struct text *format_percent(struct job *j, const struct text *t, struct value values);
/* "{}".format() */
const struct text *format_braces(struct job *j, const struct text *t, const struct arguments *all);
/* Text as the mini-language of Python's format() has it: fill, align, width, precision, type. */
const struct text *format_spec(struct job *j, struct value v, const char *spec, size_t bytes);

/* json.c */
struct json_options {
	const struct text *indent_text, *item, *key; /* without the first: one line */
	bool ascii, sort;
};
const struct text *to_json(struct job *j, struct value v, const struct json_options *options);
/* Values of JSON text; @marked: texts come from a message. */
struct value from_json(struct job *j, const char *data, size_t bytes, const char *what,
		       bool marked);
void release_json(struct job *j);
/* A role that templates know, which is theirs then; NULL for another. */
const struct text *known_role(struct job *j, const char *role, size_t bytes);

#endif
