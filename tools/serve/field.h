/* SPDX-License-Identifier: MIT */
/*
 * Single fields of a request.  What is wrong is a 400 that names field, value and limits; null is
 * as if it weren't there.
 */
#ifndef STOKER_SERVE_FIELD_H
#define STOKER_SERVE_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "serve/problem.h"

/*
 * Each is true and leaves *@value alone when the field isn't there or null; false after a 400 in
 * @p.
 */
bool field_bool(struct json_object *o, const char *name, bool *value, struct problem *p);
bool field_int(struct json_object *o, const char *name, int64_t least, int64_t most, int64_t *value,
	       struct problem *p);
bool field_number(struct json_object *o, const char *name, double least, double most, double *value,
		  struct problem *p);
/* A text without NUL inside; lives as long as @o. */
bool field_text(struct json_object *o, const char *name, const char **value, struct problem *p);
bool field_object(struct json_object *o, const char *name, struct json_object **value,
		  struct problem *p);
bool field_list(struct json_object *o, const char *name, struct json_object **value,
		struct problem *p);
/* The field, or NULL when it isn't there or null. */
struct json_object *field_of(struct json_object *o, const char *name);
/* "a string", "null", ...: what a value is, for messages. */
const char *field_type(struct json_object *value);

/* The same of values that one has already; null is of the wrong type then. */
bool value_bool(struct problem *p, const char *name, struct json_object *value, bool *out);
/* Whole numbers may be written as 40.0, too. */
bool value_int(struct problem *p, const char *name, struct json_object *value, int64_t least,
	       int64_t most, int64_t *out);
bool value_number(struct problem *p, const char *name, struct json_object *value, double least,
		  double most, double *out);
bool value_text(struct problem *p, const char *name, struct json_object *value, const char **out);
/* "NAME is a string, it has to be WANTED"; false. */
bool value_wrong(struct problem *p, const char *name, struct json_object *value,
		 const char *wanted);

#endif
