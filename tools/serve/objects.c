// SPDX-License-Identifier: MIT
/* What objects of replies are made of. */
#include "serve/objects.h"

#include <json-c/json.h>

#include "serve/text.h"

void object_string(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, value ? json_object_new_string(value) : NULL);
}

void object_text(struct json_object *o, const char *key, const struct text *value)
{
	json_object_object_add(o, key,
			       json_object_new_string_len(value->bytes ? value->data : "",
							  (int)value->bytes));
}

void object_count(struct json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

struct json_object *object_parse(const struct text *t)
{
	struct json_object *o = t->bytes ? json_tokener_parse(t->data) : NULL;

	if (json_object_is_type(o, json_type_object))
		return o;
	json_object_put(o);
	return json_object_new_object();
}
