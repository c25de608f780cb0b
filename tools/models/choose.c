// SPDX-License-Identifier: MIT
/* Which of a repository's models is meant, or fits this machine. */
#include "models/hub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tool.h"

/* Of those of about 4 bits, which lose little, in the order in which they're taken. */
static const char *const usual[] = { "Q4_K_M", "Q4_K_XL", "MXFP4",  "MXFP4_MOE", "Q4_K_S",
				     "Q4_K",   "IQ4_XS",  "IQ4_NL", "Q4_1",	 "Q4_0" };
enum { USUAL = sizeof(usual) / sizeof(*usual) };

/* The place in that order; USUAL for others, and last those that aren't quantized. */
static size_t place_of(const struct hub_model *m)
{
	const char *quant = names_quant(m->stem);
	size_t i = 0;

	while (i < USUAL && (!quant || strcasecmp(quant, usual[i]) != 0))
		i++;
	if (i == USUAL && quant && !strpbrk(quant, "qQxX"))
		i++;
	return i;
}

/* Weights, and an eighth more for cache and working buffers. */
static bool fits(const struct hub_model *m, uint64_t memory)
{
	return m->bytes <= memory - memory / 9;
}

/* Usual ones in their order, then the largest; plain names before longer ones. */
static bool better(const struct hub_model *a, const struct hub_model *b)
{
	const size_t x = place_of(a), y = place_of(b);

	if (x != y)
		return x < y;
	if (x < USUAL)
		return strlen(a->stem) < strlen(b->stem);
	return a->bytes > b->bytes;
}

static const struct hub_model *asked_for(const struct hub_list *list, const struct hub_name *name,
					 struct stoker_error *err)
{
	const struct hub_model *best = NULL;
	size_t length = 0;

	for (size_t i = 0; i < list->model_count; i++) {
		const struct hub_model *m = &list->models[i];

		if (names_match(list->files[m->first].path, name->quant) &&
		    (!best || strlen(m->stem) < strlen(best->stem)))
			best = m;
	}
	if (best)
		return best;
	store_error(err, -ENOENT, "hf:%s/%s: has no \"%s\"; there are", name->owner, name->repo,
		    name->quant);
	for (size_t i = 0; i < list->model_count; i++) {
		const char *stem = list->models[i].stem, *quant = names_quant(stem);

		length = strlen(err->message);
		if (length > sizeof(err->message) - 80)
			break;
		snprintf(err->message + length, sizeof(err->message) - length, "%s %.60s",
			 i ? "," : "", quant ? quant : stem);
	}
	return NULL;
}

const struct hub_model *hub_choose(const struct hub_list *list, const struct hub_name *name,
				   uint64_t memory, char why[160], struct stoker_error *err)
{
	const struct hub_model *best = NULL, *least = NULL;
	char size[16], room[16];

	*why = 0;
	if (*name->quant)
		best = asked_for(list, name, err);
	else
		for (size_t i = 0; i < list->model_count; i++) {
			const struct hub_model *m = &list->models[i];

			if (!least || m->bytes < least->bytes)
				least = m;
			if (fits(m, memory) && (!best || better(m, best)))
				best = m;
		}
	human_size(memory, room);
	if (!best && least && list->model_count == 1)
		best = least;
	if (!best && least) {
		store_error(err, -ENOMEM,
			    "hf:%s/%s: none of its %zu models fits into %s of memory, the least, "
			    "%.60s, "
			    "is %s; a mixture of experts is paged from the drive: name one, as "
			    "hf:%s/%s:Q4_K_M",
			    name->owner, name->repo, list->model_count, room, least->stem,
			    human_size(least->bytes, size), name->owner, name->repo);
		return NULL;
	}
	if (best && !*name->quant && list->model_count > 1)
		snprintf(why, 160, "chosen of %zu, %s fits into %s of memory", list->model_count,
			 human_size(best->bytes, size), room);
	if (best && !best->whole) {
		store_error(err, -EINVAL, "hf:%s/%s: parts of %s are missing there", name->owner,
			    name->repo, best->stem);
		return NULL;
	}
	return best;
}
