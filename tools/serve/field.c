// SPDX-License-Identifier: MIT
/* Single fields of a request: their types and limits. */
#include "serve/field.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct json_object *field_of(struct json_object *o, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(o, name, &value) ? value : NULL;
}

const char *field_type(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_boolean:
		return "a boolean";
	case json_type_double:
	case json_type_int:
		return "a number";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "a list";
	case json_type_string:
		return "a string";
	default:
		return "null";
	}
}

bool value_wrong(struct problem *p, const char *name, struct json_object *value, const char *wanted)
{
	return problem_set(p, 400, name, NULL, "%s is %s, it has to be %s", name, field_type(value),
			   wanted);
}

/* A value as it was written, cut short; for messages. */
static const char *shown(struct json_object *value, char text[48])
{
	snprintf(text, 48, "%s", json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	return text;
}

bool value_number(struct problem *p, const char *name, struct json_object *value, double least,
		  double most, double *out)
{
	char text[48];
	double number;

	if (!json_object_is_type(value, json_type_double) &&
	    !json_object_is_type(value, json_type_int))
		return value_wrong(p, name, value, "a number");
	number = json_object_get_double(value);
	if (!(number >= least && number <= most))
		return problem_set(p, 400, name, NULL, "%s is %s, limits %.10g and %.10g", name,
				   shown(value, text), least, most);
	*out = number;
	return true;
}

/* Whole numbers may be written as 40.0, too. */
bool value_int(struct problem *p, const char *name, struct json_object *value, int64_t least,
	       int64_t most, int64_t *out)
{
	char text[48];
	double number;

	if (!json_object_is_type(value, json_type_double) &&
	    !json_object_is_type(value, json_type_int))
		return value_wrong(p, name, value, "a whole number");
	number = json_object_get_double(value);
	if (json_object_is_type(value, json_type_double) && number != floor(number))
		return problem_set(p, 400, name, NULL, "%s is %s, it has to be a whole number",
				   name, shown(value, text));
	if (!(number >= (double)least && number <= (double)most) ||
	    json_object_get_int64(value) < least || json_object_get_int64(value) > most)
		return problem_set(p, 400, name, NULL, "%s is %s, limits %lld and %lld", name,
				   shown(value, text), (long long)least, (long long)most);
	*out = json_object_get_int64(value);
	return true;
}

bool value_bool(struct problem *p, const char *name, struct json_object *value, bool *out)
{
	if (!json_object_is_type(value, json_type_boolean))
		return value_wrong(p, name, value, "true or false");
	*out = json_object_get_boolean(value);
	return true;
}

bool value_text(struct problem *p, const char *name, struct json_object *value, const char **out)
{
	if (!json_object_is_type(value, json_type_string))
		return value_wrong(p, name, value, "a string");
	if (strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return problem_set(p, 400, name, NULL, "%s has a NUL in it", name);
	*out = json_object_get_string(value);
	return true;
}

bool field_bool(struct json_object *o, const char *name, bool *value, struct problem *p)
{
	struct json_object *v = field_of(o, name);

	return !v || value_bool(p, name, v, value);
}

bool field_int(struct json_object *o, const char *name, int64_t least, int64_t most, int64_t *value,
	       struct problem *p)
{
	struct json_object *v = field_of(o, name);

	return !v || value_int(p, name, v, least, most, value);
}

bool field_number(struct json_object *o, const char *name, double least, double most, double *value,
		  struct problem *p)
{
	struct json_object *v = field_of(o, name);

	return !v || value_number(p, name, v, least, most, value);
}

bool field_text(struct json_object *o, const char *name, const char **value, struct problem *p)
{
	struct json_object *v = field_of(o, name);

	return !v || value_text(p, name, v, value);
}

static bool field_of_type(struct json_object *o, const char *name, enum json_type type,
			  const char *wanted, struct json_object **value, struct problem *p)
{
	struct json_object *v = field_of(o, name);

	if (v && !json_object_is_type(v, type))
		return value_wrong(p, name, v, wanted);
	if (v)
		*value = v;
	return true;
}

bool field_object(struct json_object *o, const char *name, struct json_object **value,
		  struct problem *p)
{
	return field_of_type(o, name, json_type_object, "an object", value, p);
}

bool field_list(struct json_object *o, const char *name, struct json_object **value,
		struct problem *p)
{
	return field_of_type(o, name, json_type_array, "a list", value, p);
}
