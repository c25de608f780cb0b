// SPDX-License-Identifier: MIT
/* stoker bench formats: a table of how fast products are in every format. */
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "progress.h"

enum { MOST_FORMATS = 64, MOST_SHAPES = 64, FIGURES = 4 };

struct shape {
	uint32_t in, out;
};

struct selection {
	const struct stoker_format *formats[MOST_FORMATS];
	struct shape shapes[MOST_SHAPES];
	size_t format_count, shape_count;
};

struct table {
	const struct formats_options *options;
	struct measure_limits limits;
	struct json_object *products, *skipped; /* NULL: they are printed */
	struct progress line;
};

static int usage_of(const char *what, const char *text, const char *instead)
{
	failf("%s \"%s\"%s", what, text, instead);
	return EXIT_USAGE;
}

static int add_format(struct selection *s, const char *name)
{
	const struct stoker_format *f = stoker_format_by_name(name);

	if (!f)
		return usage_of("no format", name, "");
	for (size_t i = 0; i < s->format_count; i++)
		if (s->formats[i] == f)
			return EXIT_OK;
	s->formats[s->format_count++] = f;
	return EXIT_OK;
}

/* "4096x576": so many rows of so many values. */
static int add_shape(struct selection *s, const char *text)
{
	static const char *const instead = ", there are 4096x4096, 576x1536 and the like";
	unsigned long numbers[2];
	const char *at = text;
	char *end;

	if (s->shape_count == MOST_SHAPES)
		return usage_of("--shape: too many at", text, "");
	for (int i = 0; i < 2; i++) {
		numbers[i] = strtoul(at, &end, 10);
		if (*at < '0' || *at > '9' || *end != (i ? 0 : 'x') || !numbers[i] ||
		    numbers[i] > MEASURE_MOST)
			return usage_of("--shape: no matrix", text, instead);
		at = end + 1;
	}
	s->shapes[s->shape_count++] =
		(struct shape){ .out = (uint32_t)numbers[0], .in = (uint32_t)numbers[1] };
	return EXIT_OK;
}

/* Calls @add for each word of @list. */
static int each_word(struct selection *s, const char *list,
		     int (*add)(struct selection *s, const char *word))
{
	char *copy = strdup(list), *rest = copy, *word;
	int status = copy ? EXIT_OK : failf("out of memory");

	while (!status && (word = strsep(&rest, ", ")))
		if (*word)
			status = add(s, word);
	free(copy);
	return status;
}

static int select_products(const struct formats_options *o, struct selection *s)
{
	int status = EXIT_OK;

	if (o->prompt > MEASURE_MOST) {
		failf("--prompt: no more than %d rows", MEASURE_MOST);
		return EXIT_USAGE;
	}
	if (o->formats)
		status = each_word(s, o->formats, add_format);
	for (const struct stoker_format *f = NULL; !o->formats && (f = stoker_format_next(f));)
		s->formats[s->format_count++] = f;
	return status ? status : each_word(s, o->shapes ? o->shapes : "4096x4096", add_shape);
}

static void print_head(const struct formats_options *o)
{
	char rows[24];

	printf("\n%-8s %-15s %12s %10s %6s %19s %19s", "format", "matrix", "1 row", "GB/s", "of it",
	       "4 rows, of 1", "8 rows, of 1");
	snprintf(rows, sizeof(rows), "%u rows", o->prompt);
	if (o->prompt)
		printf(" %15s %9s %6s", rows, "GOP/s", "of it");
	putchar('\n');
}

static void print_products(const struct table *t, const struct measure_product *list)
{
	char matrix[24];

	snprintf(matrix, sizeof(matrix), "%u x %u", list->out, list->in);
	printf("%-8s %-15s %9.1f us %10.2f %4.0f %%", list->format, matrix, 1e6 * list->seconds,
	       1e-9 * list->weight_bytes / list->seconds, 100 * of_reading(&t->limits, list));
	for (int i = 1; i < 3; i++)
		printf(" %10.1f us %5.2f", 1e6 * list[i].seconds, list[i].seconds / list->seconds);
	if (t->options->prompt)
		printf(" %12.1f us %9.1f %4.0f %%", 1e6 * list[3].seconds,
		       1e-9 * list[3].operations / list[3].seconds,
		       100 * of_multiplying(&t->limits, &list[3]));
	putchar('\n');
	fflush(stdout);
}

/* Rows of some lengths aren't whole blocks of a format. */
static void skip(const struct table *t, const char *format, uint32_t block, struct shape shape)
{
	struct json_object *o;

	if (!t->skipped) {
		printf("%-8s %u x %u: rows aren't whole blocks of %u values\n", format, shape.out,
		       shape.in, block);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "format", json_object_new_string(format));
	json_object_object_add(o, "in", json_object_new_int64(shape.in));
	json_object_object_add(o, "out", json_object_new_int64(shape.out));
	json_object_object_add(o, "block", json_object_new_int64(block));
	json_object_array_add(t->skipped, o);
}

static int measure_matrix(struct table *t, struct stoker_device *device,
			  const struct stoker_format *f, struct shape shape)
{
	const uint32_t rows[FIGURES] = { 1, 4, 8, t->options->prompt };
	const size_t count = t->options->prompt ? FIGURES : FIGURES - 1;
	struct measure_product list[FIGURES];
	struct stoker_error err;

	for (size_t i = 0; i < count; i++)
		list[i] = (struct measure_product){ .format = stoker_format_name(f),
						    .in = shape.in,
						    .out = shape.out,
						    .rows = rows[i],
						    .cached = t->options->cached,
						    .seconds = t->options->seconds };
	if (measure_products(device, list, count, &err)) {
		progress_end(&t->line);
		return fail(&err);
	}
	for (size_t i = 0; i < count && t->products; i++)
		json_object_array_add(t->products, product_json(&t->limits, &list[i]));
	if (!t->products) {
		progress_end(&t->line);
		print_products(t, list);
	}
	return EXIT_OK;
}

static int measure_all(struct table *t, struct stoker_device *device, const struct selection *s)
{
	int status = EXIT_OK;

	for (size_t k = 0; k < s->shape_count; k++)
		for (size_t i = 0; i < s->format_count && !status; i++) {
			const struct stoker_format *f = s->formats[i];
			const uint32_t block = stoker_format_block_values(f);

			progress_show(&t->line, "%s, %zu of %zu", stoker_format_name(f),
				      k * s->format_count + i + 1,
				      s->shape_count * s->format_count);
			if (s->shapes[k].in % block == 0) {
				status = measure_matrix(t, device, f, s->shapes[k]);
				continue;
			}
			progress_end(&t->line);
			skip(t, stoker_format_name(f), block, s->shapes[k]);
		}
	progress_end(&t->line);
	return status;
}

int bench_formats(const struct compute_options *compute, const struct formats_options *options)
{
	struct table t = { .options = options };
	struct selection selection = { .format_count = 0 };
	struct stoker_device *device = NULL;
	struct stoker_error err;
	int status = select_products(options, &selection);

	if (!status)
		status = open_device(compute, &device);
	if (!status && measure_limits(device, &t.limits, &err))
		status = fail(&err);
	if (status) {
		stoker_device_close(&device);
		return status;
	}
	if (options->json) {
		t.products = json_object_new_array();
		t.skipped = json_object_new_array();
	} else {
		print_limits(device, &t.limits);
		print_head(options);
	}
	progress_begin(&t.line);
	status = measure_all(&t, device, &selection);
	if (!status && options->json) {
		struct json_object *root = json_object_new_object();

		add_limits(root, device, &t.limits);
		json_object_object_add(
			root, "bytes_in_turn",
			json_object_new_int64(
				options->cached ? 0 : (int64_t)measure_footprint(device)));
		json_object_object_add(root, "products", json_object_get(t.products));
		json_object_object_add(root, "skipped", json_object_get(t.skipped));
		status = print_json(stdout, root);
	}
	json_object_put(t.products);
	json_object_put(t.skipped);
	stoker_device_close(&device);
	return status;
}
