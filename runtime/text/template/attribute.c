// SPDX-License-Identifier: MIT
/* Attributes and elements of values, found the way Jinja does: value.name, value[index]. */
#include "text/template/interpreter.h"

static struct value no_attribute(struct value v, const struct text *name, struct job *j)
{
	char *string = job_alloc(j, name->bytes + 1);

	memcpy(string, name->data, name->bytes);
	string[name->bytes] = 0;
	return (struct value){ .kind = VALUE_UNDEFINED, .owner = v.kind, .missing = string };
}

static struct value own_attribute(struct job *j, struct value v, const struct text *name)
{
	const struct builtin *method;
	struct bound *bound;

	if (v.kind == VALUE_LOOP)
		return loop_attribute(j, v.loop, name);
	if (v.kind == VALUE_CYCLER && text_is(name, "current"))
		return v.cycler->items[v.cycler->next];
	if (v.kind == VALUE_MACRO && text_is(name, "name") && v.macro->node->text)
		return text_value(v.macro->node->text);
	if (is_flavour(v, FLAVOUR_GROUP) && (text_is(name, "grouper") || text_is(name, "list")))
		return v.sequence->items[text_is(name, "list")];
	method = find_method(v, name->data, name->bytes);
	if (!method)
		return ABSENT;
	bound = job_alloc(j, sizeof(*bound));
	*bound = (struct bound){ .self = v, .method = method };
	return (struct value){ .kind = VALUE_METHOD, .bound = bound };
}

struct value attribute(struct job *j, struct value v, const struct text *name)
{
	const struct value *found = NULL;
	struct value own;

	need_defined(j, v);
	if (name->bytes && name->data[0] == '_' && v.kind != VALUE_DICT &&
	    v.kind != VALUE_NAMESPACE)
		return no_attribute(v, name, j);
	if (v.kind == VALUE_NAMESPACE)
		found = dict_get(j, v.dict, text_value(name));
	if (found)
		return *found;
	own = own_attribute(j, v, name);
	if (is_given(own))
		return own;
	if (v.kind == VALUE_DICT)
		found = dict_get(j, v.dict, text_value(name));
	return found ? *found : no_attribute(v, name, j);
}

static struct value element(struct job *j, struct value v, struct value index)
{
	const bool number = index.kind == VALUE_INT || index.kind == VALUE_BOOL;
	int64_t i, count;

	if (!number || (v.kind == VALUE_SEQUENCE && v.sequence->flavour >= FLAVOUR_ITERATOR &&
			v.sequence->flavour <= FLAVOUR_ITEMS))
		return ABSENT;
	i = to_integer(j, index, "an index");
	count = (int64_t)value_length(j, v);
	if (i < 0)
		i += count;
	if (i < 0 || i >= count)
		return ABSENT;
	if (v.kind == VALUE_SEQUENCE)
		return sequence_at(v.sequence, (size_t)i);
	if (v.text->bytes != v.text->characters)
		job_work(j, v.text->bytes);
	return text_character(j, v.text, byte_of(v.text, (size_t)i));
}

static bool hashable(struct value v)
{
	if (is_tuple(v)) {
		for (size_t i = 0; i < v.sequence->count; i++)
			if (v.sequence->items[i].kind == VALUE_SEQUENCE ||
			    v.sequence->items[i].kind == VALUE_DICT)
				return false;
		return true;
	}
	return v.kind != VALUE_SEQUENCE && v.kind != VALUE_DICT;
}

struct value item(struct job *j, struct value v, struct value index)
{
	const struct value *found = NULL;
	struct value own = ABSENT;

	need_defined(j, v);
	if (v.kind == VALUE_DICT && hashable(index))
		found = dict_get(j, v.dict, index);
	else if (v.kind == VALUE_TEXT || v.kind == VALUE_SEQUENCE)
		own = element(j, v, index);
	if (found)
		return *found;
	if (is_given(own))
		return own;
	if (index.kind == VALUE_TEXT && v.kind == VALUE_DICT) {
		own = index.text->bytes && index.text->data[0] == '_'
			      ? ABSENT
			      : own_attribute(j, v, index.text);
		return is_given(own) ? own : no_attribute(v, index.text, j);
	}
	if (index.kind == VALUE_TEXT)
		return attribute(j, v, index.text);
	return no_attribute(v, repr_text(j, index), j);
}

struct value attribute_path(struct job *j, struct value v, struct value path)
{
	const struct text *t = path.text;

	if (path.kind == VALUE_NONE || path.kind == VALUE_ABSENT)
		return v;
	if (path.kind != VALUE_TEXT)
		return item(j, v, path);
	job_work(j, SLOW * t->bytes);
	for (size_t at = 0; at <= t->bytes;) {
		const char *dot = memchr(t->data + at, '.', t->bytes - at);
		const size_t end = dot ? (size_t)(dot - t->data) : t->bytes;
		const struct text *part = text_part(j, t, at, end);
		int64_t i;
		bool large;

		if (text_is_all(part, CLASS_DECIMAL) &&
		    parse_integer(part->data, part->bytes, 10, &i, &large) && !large)
			v = item(j, v, integer(i));
		else
			v = item(j, v, text_value(part));
		at = end + 1;
	}
	return v;
}
