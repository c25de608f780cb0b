// SPDX-License-Identifier: MIT
/* Finding a model's tensors by name and checking their shapes against what its metadata says. */
#include "model/model.h"

#include <stdarg.h>
#include <stdio.h>

static void shape_text(const uint64_t *ne, uint32_t dimensions, char out[80])
{
	int at = 0;

	for (uint32_t i = 0; i < dimensions && at < 70; i++)
		at += snprintf(out + at, (size_t)(80 - at), "%s%llu", i ? ", " : "",
			       (unsigned long long)ne[i]);
}

static bool check_shape(struct stoker_model *m, const struct stoker_gguf_tensor *t, uint64_t in,
			uint64_t out, uint64_t count)
{
	const uint64_t wanted[3] = { in, out, count };
	char is[80], should[80];

	if (t->ne[0] == in && t->ne[1] == out && t->ne[2] == count && t->ne[3] == 1)
		return true;
	shape_text(t->ne, t->dimensions, is);
	shape_text(wanted, count > 1 ? 3 : out > 1 ? 2 : 1, should);
	model_fail(m, -EINVAL, "tensor %s has shape [%s], the metadata asks for [%s]", t->name, is,
		   should);
	return false;
}

static stoker_address vector_of(struct stoker_model *m, const struct stoker_gguf_tensor *t,
				uint64_t count)
{
	const uint64_t have = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];

	if (have != count) {
		char is[80];

		shape_text(t->ne, t->dimensions, is);
		model_fail(m, -EINVAL,
			   "tensor %s has shape [%s], the metadata asks for %llu values", t->name,
			   is, (unsigned long long)count);
		return 0;
	}
	if (t->format == stoker_format_by_name("F32")) {
		model_use(m, t, UNDERSTOOD | PLACED);
		return model_place_of(m, t);
	}
	model_use(m, t, UNDERSTOOD);
	return model_converted(m, t, count);
}

stoker_address model_vector(struct stoker_model *m, enum presence presence, uint64_t count,
			    const char *fmt, ...)
{
	const struct stoker_gguf_tensor *t;
	char name[STOKER_MAX_NAME];
	va_list args;

	if (m->failed)
		return 0;
	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	t = stoker_gguf_find_tensor(m->gguf, name);
	if (t)
		return vector_of(m, t, count);
	if (presence == REQUIRED)
		model_fail(m, -EINVAL, "tensor %s is missing", name);
	return 0;
}

/* The experts of a layer, which are tensors of their own; NULL: there are none, or it failed. */
static const struct stoker_gguf_tensor **list_packed(struct stoker_model *m, const char *stem,
						     uint32_t count)
{
	const size_t length = strlen(stem) - strlen("_exps");
	const struct stoker_gguf_tensor **list;
	char name[STOKER_MAX_NAME];

	if (strlen(stem) < strlen("_exps") || strcmp(stem + length, "_exps"))
		return NULL;
	list = calloc(count, sizeof(*list));
	if (!list) {
		model_fail(m, -ENOMEM, "out of memory");
		return NULL;
	}
	for (uint32_t e = 0; e < count; e++) {
		snprintf(name, sizeof(name), "%.*s.%u.weight", (int)length, stem, e);
		list[e] = stoker_gguf_find_tensor(m->gguf, name);
		if (list[e] && list[0] && list[e]->format == list[0]->format &&
		    !memcmp(list[e]->ne, list[0]->ne, sizeof(list[e]->ne)))
			continue;
		if (list[0])
			model_fail(m, list[e] ? -ENOTSUP : -EINVAL,
				   list[e] ? "tensor %s has another type or shape than the first "
					     "expert's"
					   : "tensor %s is missing",
				   name);
		free(list);
		return NULL;
	}
	return list;
}

/* How far experts are apart in one file; 0: not equally far. */
static uint64_t distance(const struct stoker_gguf_tensor *const *list, uint32_t count)
{
	const uint64_t stride =
		list[1]->offset > list[0]->offset ? list[1]->offset - list[0]->offset : 0;

	for (uint32_t e = 1; e < count; e++)
		if (list[e]->file != list[0]->file ||
		    list[e]->offset != list[0]->offset + e * stride)
			return 0;
	return stride;
}

/*
 * The first of the matrices of a layer's experts where these are tensors of their own, as "stoker
 * pack" and old converters write them: "blk.0.ffn_up_exps" is in blk.0.ffn_up.0.weight and so on.
 * NULL: there is none.
 */
static const struct stoker_gguf_tensor *find_packed(struct stoker_model *m, const char *stem,
						    uint32_t count, uint64_t *stride,
						    stoker_address *place)
{
	const struct stoker_gguf_tensor **list = list_packed(m, stem, count), *first;

	if (!list)
		return NULL;
	first = list[0];
	*stride = distance(list, count);
	if (*stride) {
		for (uint32_t e = 0; e < count; e++)
			model_use(m, list[e], UNDERSTOOD | PLACED);
		*place = model_place_of(m, first);
		free(list);
		return first;
	}
	*stride = first->bytes;
	*place = model_scatter(m, list, count);
	return m->failed ? NULL : first;
}

/* Notes that the device may have to lay out a weight once it is read; some come twice. */
static void note_tiles(struct stoker_model *m, const struct stoker_weight *w)
{
	struct stoker_weight *more;

	more = realloc(m->tiled, (m->tiled_count + 1) * sizeof(*more));
	if (!more) {
		model_fail(m, -ENOMEM, "out of memory");
		return;
	}
	m->tiled = more;
	m->tiled[m->tiled_count++] = *w;
}

static bool weight_of(struct stoker_model *m, struct stoker_weight *w, enum presence presence,
		      uint32_t in, uint32_t out, uint32_t cut, uint32_t count, const char *fmt,
		      va_list args)
{
	const struct stoker_gguf_tensor *t;
	stoker_address place = 0;
	uint64_t stride = 0;
	char stem[STOKER_MAX_NAME - 16], name[STOKER_MAX_NAME];

	*w = (struct stoker_weight){ 0 };
	if (m->failed)
		return false;
	vsnprintf(stem, sizeof(stem), fmt, args);
	snprintf(name, sizeof(name), "%s.weight", stem);
	t = stoker_gguf_find_tensor(m->gguf, name);
	if (!t && count > 1)
		t = find_packed(m, stem, count, &stride, &place);
	if (!t) {
		if (presence == REQUIRED && !m->failed)
			model_fail(m, -EINVAL, "tensor %s is missing", name);
		return false;
	}
	if (!check_shape(m, t, in, out, stride ? 1 : count))
		return false;
	if (!place) {
		model_use(m, t, UNDERSTOOD | PLACED);
		place = model_place_of(m, t);
	}
	*w = (struct stoker_weight){ .format = t->format,
				     .at = place,
				     .in = in,
				     .out = out,
				     .count = count,
				     .name = t->name,
				     .stride = stride ? stride
						      : stoker_row_bytes(t->format, in) * out,
				     .tiled = stoker_wants_tiles(m->device, t->format, in, cut) };
	if (w->tiled)
		note_tiles(m, w);
	struct stoker_weight *largest = &m->largest[t->format->id];

	if ((uint64_t)in * out > (uint64_t)largest->in * largest->out)
		*largest = *w;
	snprintf(name, sizeof(name), "%s.bias", stem);
	t = stoker_gguf_find_tensor(m->gguf, name);
	if (t)
		w->bias = vector_of(m, t, (uint64_t)out * count);
	snprintf(name, sizeof(name), "%s.scale", stem);
	t = stoker_gguf_find_tensor(m->gguf, name);
	if (t)
		w->scale = vector_of(m, t, count);
	return !m->failed;
}

bool model_fused_weight(struct stoker_model *m, struct stoker_weight *w, enum presence presence,
			uint32_t in, uint32_t out, uint32_t cut, uint32_t count, const char *fmt,
			...)
{
	va_list args;

	va_start(args, fmt);
	const bool found = weight_of(m, w, presence, in, out, cut, count, fmt, args);

	va_end(args);
	return found;
}

bool model_weight(struct stoker_model *m, struct stoker_weight *w, enum presence presence,
		  uint32_t in, uint32_t out, uint32_t count, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	const bool found = weight_of(m, w, presence, in, out, 0, count, fmt, args);

	va_end(args);
	return found;
}

struct stoker_weight weight_rows(const struct stoker_weight *w, uint32_t first, uint32_t rows)
{
	struct stoker_weight part = *w;

	part.at += first * stoker_row_bytes(w->format, w->in);
	part.out = rows;
	if (first)
		part.name = NULL;
	if (part.bias)
		part.bias += first * sizeof(float);
	return part;
}
