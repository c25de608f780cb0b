// SPDX-License-Identifier: MIT
/*
 * Tuning: products come in variants, and which is the fastest is a matter of the device.  They are
 * measured when a model first has weights of a format; the choice is kept in the user's cache
 * folder, in a file a device and driver version.  All variants add in the same order.  Products
 * that make codes have one variant only.
 */
#include "device/vulkan/tuning.h"

#include <stdio.h>

#include "base/cache.h"
#include "device/vulkan/pipelines.h"
#include "device/vulkan/record.h"

enum {
	PRODUCTS = 4,		/* of matrices of their own in one measurement, of which */
	MATRIX_BYTES = 8 << 20, /* have so many bytes, if there are as many; */
	LEAST_BYTES = 1 << 20,	/* of smaller ones only the overhead would be measured */
	MANY_ROWS = 64,
	ROUNDS = 6,
	FILE_LIMIT = 16384,
};

/* Guarded by the device's lock; what is known of a format doesn't change any more. */
struct vulkan_tuning {
	uint8_t variants[FORMAT_IDS][MATMUL_KINDS]; /* see vulkan_variant() */
	char *path;				    /* NULL: they aren't measured */
	bool is_new;				    /* some were, which is to be kept */
};

/* A variant has to be so much faster than the one that is taken without measuring. */
static const double gain = 1.05;

static const char *const kind_names[MATMUL_KINDS] = {
	[MATMUL_FLOATS] = "floats",
	[MATMUL_Q8] = "codes",
	[MATMUL_MANY] = "many",
};

enum { FIRST_LINE = 96 };

/* What else measurements depend on. */
static void write_first_line(const struct vulkan *v, char line[FIRST_LINE])
{
	snprintf(line, FIRST_LINE, "stoker %s, codes %u, subgroups of %u%s\n", STOKER_VERSION,
		 vulkan_q8_kind(v), v->subgroup_size, v->emulated ? ", emulated" : "");
}

static bool is_variant(int kind, unsigned variant)
{
	const unsigned most = kind == MATMUL_MANY ? 4 : 8;

	return variant && variant <= most && !(variant & (variant - 1));
}

static void parse(struct vulkan_tuning *t, const char *line)
{
	char format[16], kind[16];
	unsigned variant;

	if (sscanf(line, "%15s %15s %1u", format, kind, &variant) != 3)
		return;
	const struct stoker_format *f = stoker_format_by_name(format);

	for (int k = 0; k < MATMUL_KINDS && f; k++)
		if (!strcmp(kind, kind_names[k]) && is_variant(k, variant))
			t->variants[f->id][k] = (uint8_t)variant;
}

static void read_file(struct vulkan *v)
{
	char first[FIRST_LINE];
	size_t bytes;
	AUTO_FREE char *data = stoker_cache_read(v->tuning->path, FILE_LIMIT, &bytes);
	AUTO_FREE char *text = data ? strndup(data, bytes) : NULL;

	write_first_line(v, first);
	if (!text || strncmp(text, first, strlen(first)))
		return;
	for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		parse(v->tuning, line);
}

int vulkan_tuning_open(struct vulkan *v, const VkPhysicalDeviceProperties *p,
		       struct stoker_error *err)
{
	char name[64];

	v->tuning = calloc(1, sizeof(*v->tuning));
	if (!v->tuning)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
	if (!v->use_cache)
		return 0;
	snprintf(name, sizeof(name), "vulkan-%04x-%04x-%08x.tuning", p->vendorID, p->deviceID,
		 p->driverVersion);
	v->tuning->path = cache_path(v->base.settings.cache_folder, name);
	read_file(v);
	return 0;
}

const char *vulkan_tuning_path(const struct vulkan *v)
{
	return v->tuning->path;
}

bool vulkan_tuning_is_new(const struct vulkan *v)
{
	return v->tuning->is_new;
}

uint32_t vulkan_variant(const struct vulkan *v, const struct stoker_format *format,
			enum vulkan_matmul_kind kind)
{
	return v->tuning->variants[format->id][kind];
}

void vulkan_set_variant(struct vulkan *v, const struct stoker_format *format,
			enum vulkan_matmul_kind kind, uint32_t variant)
{
	v->tuning->variants[format->id][kind] = (uint8_t)variant;
}

/* What others have measured meanwhile stays. */
static void save(struct vulkan *v)
{
	uint8_t own[FORMAT_IDS][MATMUL_KINDS];
	char text[FILE_LIMIT];
	size_t bytes;

	memcpy(own, v->tuning->variants, sizeof(own));
	read_file(v);
	write_first_line(v, text);
	bytes = strlen(text);
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		for (int k = 0; k < MATMUL_KINDS; k++) {
			const unsigned variant = own[f->id][k] ? own[f->id][k]
							       : v->tuning->variants[f->id][k];

			if (variant && bytes < sizeof(text) - 64)
				bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes,
							  "%s %s %u\n", f->name, kind_names[k],
							  variant);
		}
	vulkan_keep(v, v->tuning->path, text, bytes);
}

void vulkan_tuning_close(struct vulkan *v)
{
	if (!v->tuning)
		return;
	if (v->tuning->is_new && v->tuning->path)
		save(v);
	free(v->tuning->path);
	free(v->tuning);
}

/* Matrices like a model's, and rows for them. */
struct trial {
	struct stoker_memory weights, rows;
	struct stoker_weight weight[PRODUCTS];
	struct op_matmul op;
};

static int open_trial(struct vulkan *v, const struct stoker_weight *like, struct trial *t)
{
	const uint64_t row_bytes = stoker_row_bytes(like->format, like->in);
	const uint32_t out = MIN(like->out, (uint32_t)MAX(MATRIX_BYTES / row_bytes, (uint64_t)1));
	const uint64_t bytes = round_up(row_bytes * out, 64);
	AUTO_FREE uint8_t *pattern = NULL;
	int ret;

	*t = (struct trial){ .op = { .count = 1 } };
	ret = vulkan_memory_create(&v->base, PRODUCTS * bytes, &t->weights, NULL);
	if (!ret)
		ret = vulkan_memory_create(&v->base,
					   sizeof(float) * MANY_ROWS * ((uint64_t)like->in + out),
					   &t->rows, NULL);
	pattern = malloc(bytes);
	if (ret || !pattern)
		return ret ? ret : -ENOMEM;
	memset(pattern, 0x3c, bytes); /* small finite scales in every format */
	for (uint64_t i = 0; i < PRODUCTS && !ret; i++) {
		t->weight[i] = (struct stoker_weight){ .format = like->format,
						       .at = t->weights.at + i * bytes,
						       .in = like->in,
						       .out = out,
						       .count = 1 };
		ret = vulkan_write(&v->base, t->weight[i].at, pattern, bytes, NULL);
	}
	t->op.src = t->rows.at;
	t->op.dst[0] = t->rows.at + sizeof(float) * MANY_ROWS * (uint64_t)like->in;
	return ret;
}

static void close_trial(struct vulkan *v, struct trial *t)
{
	vulkan_memory_destroy(&v->base, &t->weights);
	vulkan_memory_destroy(&v->base, &t->rows);
}

/* What the products take; 0 after a failure. */
static double run(struct vulkan *v, struct trial *t)
{
	const uint64_t started = stoker_now_ns();

	if (vulkan_begin(&v->base, NULL))
		return 0;
	for (int i = 0; i < PRODUCTS; i++) {
		t->op.weight[0] = &t->weight[i];
		vulkan_matmul(&v->base, &t->op);
	}
	if (vulkan_submit(&v->base, NULL, NULL))
		return 0;
	return (double)MAX(stoker_now_ns() - started, (uint64_t)1);
}

/* Variants take turns, so that none has the machine's better moments; their best runs count. */
static void choose(struct vulkan *v, struct trial *t, enum vulkan_matmul_kind kind, uint32_t rows)
{
	const struct stoker_format *format = t->weight[0].format;
	const unsigned usual = vulkan_usual_variant(v, &t->weight[0], kind);
	double least[9] = { 0 };
	unsigned best = usual;
	bool failed = false;

	t->op.rows = rows;
	for (int round = -1; round < ROUNDS && !failed; round++) /* the first one compiles */
		for (unsigned i = 1; is_variant(kind, i) && !failed; i *= 2) {
			vulkan_set_variant(v, format, kind, i);
			const double took = run(v, t);

			failed = took == 0;
			if (round >= 0 && (round == 0 || took < least[i]))
				least[i] = took;
		}
	for (unsigned i = 1; is_variant(kind, i); i *= 2)
		if (least[i] < least[best] && gain * least[i] < least[usual])
			best = i;
	/* what fails here fails again where it is told */
	vulkan_set_variant(v, format, kind, failed ? 0 : best);
	v->tuning->is_new = v->tuning->is_new || !failed;
}

void vulkan_tune(struct stoker_device *d, const struct stoker_weight *like)
{
	struct vulkan *v = vulkan_of(d);
	const enum vulkan_matmul_kind single = vulkan_takes_q8(d, like) ? MATMUL_Q8 : MATMUL_FLOATS;
	const uint8_t *known = v->tuning->variants[like->format->id];
	struct trial trial;

	if (!v->tuning->path || v->base.profile ||
	    stoker_row_bytes(like->format, like->in) * like->out < LEAST_BYTES)
		return;
	pthread_mutex_lock(&d->exclusive);
	/* emulated GPUs take seconds to compile those for many rows, which differ little */
	const bool many = !v->emulated && !known[MATMUL_MANY] &&
			  !(v->tensor && vulkan_has_shader(SHADER_MATMUL_TENSOR, like->format));

	if (many || !known[single]) {
		if (!open_trial(v, like, &trial)) {
			if (!known[single])
				choose(v, &trial, single, 1);
			if (many)
				choose(v, &trial, MATMUL_MANY, MANY_ROWS);
		}
		close_trial(v, &trial);
	}
	pthread_mutex_unlock(&d->exclusive);
}
