// SPDX-License-Identifier: MIT
/* stoker bench ops and limits: ops under the roof of what a machine reads and multiplies. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench/bench.h"

enum { MOST_POINTS = 128 };

struct shape {
	const char *of;
	uint32_t in, out;
};

struct points {
	struct measure_limits limits;
	struct measure_product list[MOST_POINTS];
	const char *of[MOST_POINTS];
	size_t count;
};

static const struct shape one_shape[] = { { "", 2048, 8192 }, { 0 } };
static const struct shape real_shapes[] = {
	{ "attention of 8 B", 4096, 4096 },
	{ "feed-forward of 8 B", 4096, 14336 },
	{ "and back", 14336, 4096 },
	{ "vocabulary of 8 B", 4096, 128256 },
	{ "attention of 30B-A3B", 2048, 4096 },
	{ "expert of 30B-A3B", 2048, 768 },
	{ "and back", 768, 2048 },
	{ 0 },
};

/* What the device could multiply at most for this product: codes on the CPU, where it can. */
static double multiply_limit(const struct measure_limits *l, const struct measure_product *p)
{
	const bool codes = l->code_operations > 0 && *p->format != 'F' && *p->format != 'B';

	return codes ? l->code_operations : l->float_operations;
}

double of_reading(const struct measure_limits *l, const struct measure_product *p)
{
	return p->weight_bytes / p->seconds / l->read_bytes;
}

double of_multiplying(const struct measure_limits *l, const struct measure_product *p)
{
	return p->operations / p->seconds / multiply_limit(l, p);
}

static void print_point(const struct points *points, size_t i)
{
	const struct measure_product *p = &points->list[i];

	printf("%-8s %6u x %-6u %4u rows %10.3f ms %8.2f GB/s %4.0f %% %9.2f GFLOP/s %4.0f %%  "
	       "%s\n",
	       p->format, p->out, p->in, p->rows, 1e3 * p->seconds,
	       1e-9 * p->weight_bytes / p->seconds, 100 * of_reading(&points->limits, p),
	       1e-9 * p->operations / p->seconds, 100 * of_multiplying(&points->limits, p),
	       points->of[i]);
}

struct json_object *product_json(const struct measure_limits *l, const struct measure_product *p)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "format", json_object_new_string(p->format));
	json_object_object_add(o, "in", json_object_new_int64(p->in));
	json_object_object_add(o, "out", json_object_new_int64(p->out));
	json_object_object_add(o, "rows", json_object_new_int64(p->rows));
	json_object_object_add(o, "seconds", json_object_new_double(p->seconds));
	json_object_object_add(o, "bytes_per_second",
			       json_object_new_double(p->weight_bytes / p->seconds));
	json_object_object_add(o, "operations_per_second",
			       json_object_new_double(p->operations / p->seconds));
	json_object_object_add(o, "of_reading", json_object_new_double(of_reading(l, p)));
	json_object_object_add(o, "of_multiplying", json_object_new_double(of_multiplying(l, p)));
	return o;
}

void add_limits(struct json_object *root, const struct stoker_device *device,
		const struct measure_limits *l)
{
	json_object_object_add(root, "device",
			       json_object_new_string(stoker_device_description(device)));
	json_object_object_add(root, "read_bytes_per_second",
			       json_object_new_double(l->read_bytes));
	json_object_object_add(root, "float_operations_per_second",
			       json_object_new_double(l->float_operations));
	if (l->code_operations > 0)
		json_object_object_add(root, "code_operations_per_second",
				       json_object_new_double(l->code_operations));
}

void print_limits(const struct stoker_device *device, const struct measure_limits *l)
{
	printf("%s\nreading memory %8.2f GB/s\nfloats         %8.2f GFLOP/s\n",
	       stoker_device_description(device), 1e-9 * l->read_bytes, 1e-9 * l->float_operations);
	if (l->code_operations > 0)
		printf("8-bit codes    %8.2f GOP/s\n", 1e-9 * l->code_operations);
}

int bench_limits(const struct compute_options *compute, bool json)
{
	struct measure_limits limits;
	struct stoker_device *device = NULL;
	struct stoker_error err;
	int status = open_device(compute, &device);

	if (!status && measure_limits(device, &limits, &err))
		status = fail(&err);
	if (!status && json) {
		struct json_object *root = json_object_new_object();

		add_limits(root, device, &limits);
		status = print_json(stdout, root);
	} else if (!status) {
		print_limits(device, &limits);
	}
	stoker_device_close(&device);
	return status;
}

/* The plot: operations a byte from 1/4 to 1024, operations a second, both as powers of two. */

enum { LEFT = 64, RIGHT = 620, TOP = 40, BOTTOM = 380 };

static double x_of(double intensity)
{
	return LEFT + (RIGHT - LEFT) * (log2(intensity) + 2) / 12;
}

/* The top is twice what the device multiplies at most, the bottom 2^12 below. */
static double y_of(const struct points *p, double rate)
{
	const double top = 1 + log2(fmax(p->limits.float_operations, p->limits.code_operations));
	const double y = TOP + (BOTTOM - TOP) * (top - log2(rate)) / 12;

	return fmin(y, BOTTOM);
}

static void plot_roof(FILE *f, const struct points *p, double multiply, const char *name)
{
	const double ridge = multiply / p->limits.read_bytes;

	fprintf(f,
		"<polyline fill=\"none\" stroke=\"#888\" points=\"%.1f,%.1f %.1f,%.1f "
		"%.1f,%.1f\"/>\n",
		x_of(0.25), y_of(p, 0.25 * p->limits.read_bytes), x_of(ridge), y_of(p, multiply),
		x_of(1024), y_of(p, multiply));
	fprintf(f, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s %.0f GFLOP/s</text>\n", RIGHT,
		y_of(p, multiply) - 4, name, 1e-9 * multiply);
}

static void print_escaped(FILE *f, const char *text)
{
	for (; *text; text++)
		if (*text == '&' || *text == '<')
			fprintf(f, "&#%d;", *text);
		else
			fputc(*text, f);
}

static int plot_points(const char *path, const struct stoker_device *device, const struct points *p)
{
	FILE *f = fopen(path, "we");
	bool failed;

	if (!f)
		return failf("%s: %s", path, strerror(errno));
	fputs("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 420\" "
	      "font-family=\"sans-serif\" font-size=\"11\">\n"
	      "<rect width=\"640\" height=\"420\" fill=\"#fff\"/>\n",
	      f);
	fputs("<text x=\"320\" y=\"20\" text-anchor=\"middle\" font-size=\"14\">", f);
	print_escaped(f, stoker_device_description(device));
	fprintf(f, ", reading %.1f GB/s</text>\n", 1e-9 * p->limits.read_bytes);
	for (double i = 0.25; i <= 1024; i *= 4) {
		fprintf(f, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#eee\"/>\n",
			x_of(i), x_of(i), TOP, BOTTOM);
		fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", x_of(i),
			BOTTOM + 14, i);
	}
	fprintf(f,
		"<text x=\"320\" y=\"%d\" text-anchor=\"middle\">operations a byte of "
		"weights</text>\n",
		BOTTOM + 32);
	plot_roof(f, p, p->limits.float_operations, "floats");
	if (p->limits.code_operations > 0)
		plot_roof(f, p, p->limits.code_operations, "8-bit codes");
	for (size_t i = 0; i < p->count; i++) {
		const struct measure_product *b = &p->list[i];

		fprintf(f,
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\" "
			"fill-opacity=\"0.6\"><title>"
			"%s %u x %u, %u rows: %.1f GFLOP/s</title></circle>\n",
			x_of(b->operations / b->weight_bytes), y_of(p, b->operations / b->seconds),
			b->rows == 1   ? "#06c"
			: b->rows <= 8 ? "#080"
				       : "#c30",
			b->format, b->out, b->in, b->rows, 1e-9 * b->operations / b->seconds);
	}
	fputs("</svg>\n", f);
	failed = ferror(f);
	if (fclose(f) || failed)
		return failf("%s: %s", path, strerror(errno));
	return EXIT_OK;
}

static int measure_format(struct stoker_device *device, const char *format,
			  const struct shape *shapes, bool json, struct points *points)
{
	static const uint32_t row_counts[] = { 1, 8, 64 };
	struct stoker_error err;

	for (; shapes->in; shapes++)
		for (size_t i = 0; i < sizeof(row_counts) / sizeof(*row_counts); i++) {
			struct measure_product *p = &points->list[points->count];

			*p = (struct measure_product){ .format = format,
						       .in = shapes->in,
						       .out = shapes->out,
						       .rows = row_counts[i] };
			if (measure_product(device, p, &err))
				return fail(&err);
			points->of[points->count] = shapes->of;
			if (!json)
				print_point(points, points->count);
			points->count++;
		}
	return EXIT_OK;
}

/* Ops other than single products. */
struct others {
	const struct measure_limits *limits;
	struct json_object *list; /* NULL: they are printed */
};

static void take_other(void *context, const struct measure_op *op)
{
	const struct others *others = context;
	const double bytes = op->bytes / op->seconds, rate = op->operations / op->seconds;
	const double of_reading = bytes / others->limits->read_bytes;

	if (!others->list) {
		printf("%-12s %3u row%s after %-4u %10.3f ms %8.2f GB/s %4.0f %%", op->name,
		       op->rows, op->rows == 1 ? " " : "s", op->positions - op->rows,
		       1e3 * op->seconds, 1e-9 * bytes, 100 * of_reading);
		if (op->operations > 0)
			printf(" %9.2f GFLOP/s", 1e-9 * rate);
		putchar('\n');
		fflush(stdout);
		return;
	}
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "op", json_object_new_string(op->name));
	json_object_object_add(o, "rows", json_object_new_int64(op->rows));
	json_object_object_add(o, "positions", json_object_new_int64(op->positions));
	json_object_object_add(o, "seconds", json_object_new_double(op->seconds));
	json_object_object_add(o, "bytes_per_second", json_object_new_double(bytes));
	json_object_object_add(o, "of_reading", json_object_new_double(of_reading));
	if (op->operations > 0)
		json_object_object_add(o, "operations_per_second", json_object_new_double(rate));
	json_object_array_add(others->list, o);
}

int bench_ops(const struct compute_options *compute, const char *format, const char *plot,
	      bool json)
{
	struct points *points = calloc(1, sizeof(*points));
	struct others others = { .list = json ? json_object_new_array() : NULL };
	struct stoker_device *device = NULL;
	struct stoker_error err;
	int status = points ? open_device(compute, &device) : failf("out of memory");

	if (!status && measure_limits(device, &points->limits, &err))
		status = fail(&err);
	if (!status && !json)
		print_limits(device, &points->limits);
	for (const struct stoker_format *f = NULL; !status && (f = stoker_format_next(f));) {
		const char *name = stoker_format_name(f);

		if (!format || !strcasecmp(format, name))
			status = measure_format(device, name, format ? real_shapes : one_shape,
						json, points);
	}
	if (!status && !json)
		puts("\nThe other ops, where cached operands are read faster than memory:");
	if (points)
		others.limits = &points->limits;
	if (!status) {
		const int ret =
			measure_ops(device, format ? format : "Q4_K", take_other, &others, &err);

		if (ret == -ENOMEM) /* products have been measured all the same */
			fprintf(stderr, "stoker: %s\n", err.message);
		else if (ret)
			status = fail(&err);
	}
	if (!status && json) {
		struct json_object *root = json_object_new_object();
		struct json_object *list = json_object_new_array();

		add_limits(root, device, &points->limits);
		for (size_t i = 0; i < points->count; i++)
			json_object_array_add(list,
					      product_json(&points->limits, &points->list[i]));
		json_object_object_add(root, "products", list);
		json_object_object_add(root, "ops", json_object_get(others.list));
		status = print_json(stdout, root);
	}
	if (!status && plot)
		status = plot_points(plot, device, points);
	json_object_put(others.list);
	stoker_device_close(&device);
	free(points);
	return status;
}
