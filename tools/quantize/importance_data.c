// SPDX-License-Identifier: MIT
/*
 * The form of importance matrices before they were GGUF files, of llama.cpp's imatrix.dat: 32-bit
 * numbers, little-endian as floats are.  So many entries, each a name's length and the name, how
 * many chunks it was summed over, how many values and the values; the number of chunks, and the
 * text's path behind its length.
 */
#include "quantize/importance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
	const char *path;
	const uint8_t *at, *end;
};

static int complain(const struct cursor *c, const char *what, size_t entry)
{
	return failf("%s: neither a GGUF file nor an importance matrix: entry %zu %s", c->path,
		     entry, what);
}

static bool take(struct cursor *c, void *into, size_t bytes)
{
	if ((size_t)(c->end - c->at) < bytes)
		return false;
	memcpy(into, c->at, bytes);
	c->at += bytes;
	return true;
}

static bool take_number(struct cursor *c, uint32_t *number)
{
	uint8_t raw[4];

	if (!take(c, raw, sizeof(raw)))
		return false;
	*number = (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 |
		  (uint32_t)raw[3] << 24;
	return true;
}

/* A number that counts what follows, @each bytes or more of it. */
static bool take_count(struct cursor *c, size_t each, uint32_t *count)
{
	return take_number(c, count) && *count && *count <= (size_t)(c->end - c->at) / each;
}

static int read_entry(struct cursor *c, size_t number, struct importance *importance)
{
	struct importance_entry *e;
	uint32_t length, calls, values;
	const char *name;
	float count;

	if (!take_count(c, 1, &length))
		return complain(c, "has no name", number);
	name = (const char *)c->at;
	c->at += length;
	if (!take_number(c, &calls) || !take_count(c, sizeof(float), &values))
		return complain(c, "has more values than the file", number);
	/* sums over no chunks are taken as they are */
	count = calls && calls <= INT32_MAX ? (float)calls : 1;
	e = importance_add(importance, c->path, name, length, values, 1);
	if (!e)
		return EXIT_FAILED;
	take(c, e->values, values * sizeof(float));
	for (uint32_t i = 0; i < values; i++)
		if (!isfinite(e->values[i]) || e->values[i] < 0)
			return failf("%s: %s: value %u is %g", c->path, e->name, i,
				     (double)e->values[i]);
	importance_mean(e, &count, 1);
	return EXIT_OK;
}

int importance_read_data(const char *path, struct importance *importance)
{
	size_t bytes;
	char *data = read_file(path, &bytes);
	struct cursor c = { .path = path };
	uint32_t entries, length;
	int status = EXIT_OK;

	if (!data)
		return EXIT_FAILED;
	c.at = (const uint8_t *)data;
	c.end = c.at + bytes;
	/* a name, its length and two numbers, a value */
	if (!take_count(&c, 17, &entries))
		status = failf("%s: neither a GGUF file nor an importance matrix", path);
	for (uint32_t i = 0; !status && i < entries; i++)
		status = read_entry(&c, i + 1, importance);
	if (!status && (size_t)(c.end - c.at) >= 4) {
		take_number(&c, &importance->chunks);
		if (take_count(&c, 1, &length))
			importance->dataset = strndup((const char *)c.at, length);
	}
	free(data);
	return status;
}
