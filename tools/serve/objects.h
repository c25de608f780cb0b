/* SPDX-License-Identifier: MIT */
/* What objects of replies are made of. */
#ifndef STOKER_SERVE_OBJECTS_H
#define STOKER_SERVE_OBJECTS_H

#include <stddef.h>
#include <stdint.h>

struct json_object;
struct text;

void object_string(struct json_object *o, const char *key, const char *value); /* NULL: null */
void object_text(struct json_object *o, const char *key, const struct text *value);
void object_count(struct json_object *o, const char *key, int64_t value);

/* The object that a text of JSON is; {} when it isn't one, or was cut off. */
struct json_object *object_parse(const struct text *t);

#endif
