// SPDX-License-Identifier: MIT
/* Ops that devices may run together: the same as one by one. */
#include "ops.h"

/* Ops as a layer has them, and what they work on. */
struct sequence {
	uint32_t rows, in, out;
	struct stoker_weight gate, up;
	double *gate_values, *up_values;
	float *x, *a, *h, *weight, *y, *g, *z;
	struct op_add_norm norm;
	struct op_matmul first, last;
	struct op_gated gated;
	struct op_binary square, add;
};

static struct op_binary same_shape(uint32_t rows, uint32_t width, enum binary_kind kind, float *a,
				   const float *b)
{
	return (struct op_binary){ .dst = at(a),
				   .a = at(a),
				   .b = at(b),
				   .kind = kind,
				   .rows = rows,
				   .width = width,
				   .dst_stride = width,
				   .a_stride = width,
				   .b_stride = width,
				   .scale = 0.5f };
}

static void make_sequence(struct sequence *s)
{
	const struct stoker_format *f = stoker_format_by_name("Q4_0");
	const uint32_t rows = s->rows, in = s->in, out = s->out;
	const stoker_address h_q8 = q8_room(rows, in);

	s->gate_values = doubles((size_t)in * out);
	s->up_values = doubles((size_t)in * out);
	s->gate = weights(f, in, out, 1, s->gate_values);
	s->up = weights(f, in, out, 1, s->up_values);
	s->x = noise((size_t)rows * in);
	s->a = noise((size_t)rows * in);
	s->weight = noise(in);
	s->h = room((size_t)rows * in);
	s->y = room((size_t)rows * out);
	s->g = room((size_t)rows * out);
	s->z = room((size_t)rows * out);
	s->norm = (struct op_add_norm){ .x = at(s->x),
					.a = at(s->a),
					.h = at(s->h),
					.h_q8 = h_q8,
					.weight = at(s->weight),
					.rows = rows,
					.width = in,
					.scale = 0.5f,
					.eps = 1e-5f };
	s->first = (struct op_matmul){ .count = 1,
				       .rows = rows,
				       .weight = { &s->up },
				       .dst = { at(s->y) },
				       .src = at(s->h),
				       .src_q8 = h_q8 };
	s->gated = (struct op_gated){ .gate = &s->gate,
				      .up = &s->up,
				      .dst = at(s->g),
				      .src = at(s->h),
				      .src_q8 = h_q8,
				      .scratch = at(room((size_t)rows * out)),
				      .rows = rows,
				      .activation = ACTIVATION_SILU };
	s->square = same_shape(rows, in, BINARY_MUL, s->h, s->h);
	s->last = s->first; /* by then h_q8 is of other values */
	s->last.dst[0] = at(s->z);
	s->last.src_q8 = 0;
	s->add = same_shape(rows, in, BINARY_ADD, s->x, s->a);
}

/* In one submission: devices may run some of them together. */
static void sequences(bool exact)
{
	const double limit = exact ? 1e-5 : 0.03;

	for (uint32_t rows = 1; rows < 7; rows += 5) {
		struct sequence s = { .rows = rows, .in = 192, .out = 45 };
		const size_t ins = (size_t)rows * s.in, outs = (size_t)rows * s.out;

		pool_used = 0;
		make_sequence(&s);
		const struct matrix gate = plain(&s.gate, s.gate_values);
		const struct matrix up = plain(&s.up, s.up_values);
		double *x = doubles_of(s.x, ins), *a = doubles_of(s.a, ins), *h = doubles(ins);
		double *y = doubles(outs), *g = doubles(outs), *z = doubles(outs);

		reference_add_norm(&s.norm, doubles_of(s.weight, s.in), a, x, h);
		reference_matmul(&s.first, &up, h, y);
		reference_gated(&s.gated, &gate, &up, h, g);
		reference_binary(&s.square, h, h, NULL, h);
		reference_matmul(&s.last, &up, h, z);
		reference_binary(&s.add, x, a, NULL, x);
		carry(to_device);
		CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
		device_add_norm(device, &s.norm);
		device_matmul(device, &s.first);
		device_gated(device, &s.gated);
		device_binary(device, &s.square);
		device_matmul(device, &s.last);
		device_binary(device, &s.add);
		submit();
		carry(from_device);
		CU_ASSERT(off_by(s.y, y, outs) < limit);
		CU_ASSERT(off_by(s.g, g, outs) < 2 * limit);
		CU_ASSERT(off_by(s.x, x, ins) < 1e-6);
		CU_ASSERT(off_by(s.h, h, ins) < 1e-5);
		CU_ASSERT(off_by(s.z, z, outs) < limit);
	}
}

/* What residual() does of all that it could. */
enum {
	TWO_NORMS = 1,	   /* the first norm is read once more after the second */
	NO_WEIGHT = 2,	   /* norms have no weights */
	READ_FLOATS = 4,   /* of the second norm */
	MIXED_FORMATS = 8, /* of products with the second norm */
	FROM_NORM = 16,	   /* the second product to the residual is with the first norm */
	SEPARATE = 32,	   /* products to the residual don't know what comes next */
	RESIDUAL_WAYS = 64,
};

/* A matrix for the device, and for the reference. */
struct both {
	struct stoker_weight w;
	struct matrix plain;
};

static struct both both(const char *format, uint32_t in, uint32_t out)
{
	double *values = doubles((size_t)in * out);
	struct both b = { .w = weights(stoker_format_by_name(format), in, out, 1, values) };

	b.plain = plain(&b.w, values);
	return b;
}

enum { WIDTH = 64, INNER = 96, OUT = 45 };

/* Products to and from a residual stream x, one of which is of u. */
struct layer {
	uint32_t rows;
	unsigned way;
	struct both down, side, up, gate, head, other;
	float *x, *a, *u, *weight, *first, *h, *copied, *g, *scratch, *z, *y, *y_other;
	stoker_address first_q8, h_q8, g_q8;
	bool first_only, h_only; /* nothing reads their floats */
};

/* What the reference says of it. */
struct results {
	double *x, *a, *first, *h, *g, *z, *y, *y_other;
};

static void make_layer(struct layer *l)
{
	const uint32_t rows = l->rows;
	const size_t all = (size_t)rows * WIDTH;
	stoker_address second_q8;

	l->down = both("Q4_0", INNER, WIDTH);
	l->side = both("Q4_0", WIDTH, WIDTH);
	l->up = both("Q4_0", WIDTH, INNER);
	l->gate = both("Q4_0", WIDTH, INNER);
	l->head = both("Q4_0", WIDTH, OUT);
	l->other = both(l->way & MIXED_FORMATS ? "F16" : "Q4_0", WIDTH, OUT);
	l->u = noise((size_t)rows * INNER);
	l->weight = noise(WIDTH);
	l->x = noise(all);
	l->a = room(all);
	l->first = room(all);
	l->h = l->way & TWO_NORMS ? room(all) : l->first;
	l->copied = room(all);
	l->first_q8 = q8_room(rows, WIDTH);
	second_q8 = q8_room(rows, WIDTH);
	l->h_q8 = l->way & (TWO_NORMS | FROM_NORM) ? second_q8 : l->first_q8;
	l->g_q8 = stoker_takes_q8(device, &l->down.w, rows) ? q8_room(rows, INNER) : 0;
	l->first_only = stoker_takes_q8(device, &l->up.w, rows);
	l->h_only = l->first_only && stoker_takes_q8(device, &l->other.w, rows) &&
		    !(l->way & READ_FLOATS);
	l->g = room((size_t)rows * INNER);
	l->scratch = room((size_t)rows * INNER);
	l->z = room((size_t)rows * INNER);
	l->y = room((size_t)rows * OUT);
	l->y_other = room((size_t)rows * OUT);
}

static struct results compute(const struct layer *l)
{
	const size_t all = (size_t)l->rows * WIDTH, inner = (size_t)l->rows * INNER;
	const double *weight = l->way & NO_WEIGHT ? NULL : doubles_of(l->weight, WIDTH);
	const struct op_matmul matmul = { .rows = l->rows };
	const struct op_gated gated = { .rows = l->rows, .activation = ACTIVATION_SILU };
	const struct op_add_norm then = {
		.rows = l->rows, .width = WIDTH, .scale = 0.5f, .eps = 1e-5f
	};
	const struct results r = { .x = doubles_of(l->x, all),
				   .a = doubles(all),
				   .first = doubles(all),
				   .h = doubles(all),
				   .g = doubles(inner),
				   .z = doubles(inner),
				   .y = doubles((size_t)l->rows * OUT),
				   .y_other = doubles((size_t)l->rows * OUT) };

	reference_matmul(&matmul, &l->down.plain, doubles_of(l->u, inner), r.a);
	reference_add_norm(&then, weight, r.a, r.x, r.first);
	reference_matmul(&matmul, &l->up.plain, r.first, r.z);
	reference_gated(&gated, &l->gate.plain, &l->up.plain, r.first, r.g);
	if (l->way & FROM_NORM)
		reference_matmul(&matmul, &l->side.plain, r.first, r.a);
	else
		reference_matmul(&matmul, &l->down.plain, r.g, r.a);
	reference_add_norm(&then, weight, r.a, r.x, r.h);
	reference_matmul(&matmul, &l->head.plain, r.h, r.y);
	reference_matmul(&matmul, &l->other.plain, r.h, r.y_other);
	return r;
}

static void matmul(uint32_t rows, const struct stoker_weight *w, float *dst, const float *src,
		   stoker_address src_q8, const struct op_add_norm *then)
{
	const struct op_matmul op = { .count = 1,
				      .rows = rows,
				      .weight = { w },
				      .dst = { at(dst) },
				      .src = at(src),
				      .src_q8 = src_q8,
				      .then = then };

	device_matmul(device, &op);
}

/* The product of @src with @w, its way to the residual, and the norm of that to @h. */
static void to_residual(const struct layer *l, const struct both *w, const float *src,
			stoker_address src_q8, const float *h, stoker_address h_q8, bool q8_only)
{
	const struct op_add_norm then = { .x = at(l->x),
					  .a = at(l->a),
					  .h = at(h),
					  .h_q8 = h_q8,
					  .q8_only = q8_only,
					  .weight = l->way & NO_WEIGHT ? 0 : at(l->weight),
					  .rows = l->rows,
					  .width = WIDTH,
					  .scale = 0.5f,
					  .eps = 1e-5f };

	matmul(l->rows, &w->w, l->a, src, src_q8, l->way & SEPARATE ? NULL : &then);
	if (l->way & SEPARATE)
		device_add_norm(device, &then);
}

static void record_layer(const struct layer *l)
{
	const struct op_gated gated = { .gate = &l->gate.w,
					.up = &l->up.w,
					.dst = at(l->g),
					.dst_q8 = l->g_q8,
					.src = at(l->first),
					.src_q8 = l->first_q8,
					.scratch = at(l->scratch),
					.rows = l->rows,
					.activation = ACTIVATION_SILU };
	const struct op_matmul heads = { .count = 2,
					 .rows = l->rows,
					 .weight = { &l->other.w, &l->head.w },
					 .dst = { at(l->y_other), at(l->y) },
					 .src = at(l->h),
					 .src_q8 = l->h_q8 };
	const struct op_copy read = { .dst = at(l->copied),
				      .src = at(l->h),
				      .rows = l->rows,
				      .width = WIDTH,
				      .dst_stride = WIDTH,
				      .src_stride = WIDTH };

	to_residual(l, &l->down, l->u, 0, l->first, l->first_q8, l->first_only);
	if (l->way & FROM_NORM) {
		to_residual(l, &l->side, l->first, l->first_q8, l->h, l->h_q8, l->h_only);
	} else {
		device_gated(device, &gated);
		to_residual(l, &l->down, l->g, l->g_q8, l->h, l->h_q8, l->h_only);
	}
	if (l->way & TWO_NORMS)
		matmul(l->rows, &l->up.w, l->z, l->first, l->first_q8, NULL);
	device_matmul(device, &heads);
	if (l->way & READ_FLOATS)
		device_copy(device, &read);
}

/*
 * A layer's products on their way to and from the residual, which devices may take together with
 * its sums and norms.
 */
static void residual(uint32_t rows, unsigned way, double limit)
{
	const size_t all = (size_t)rows * WIDTH, outs = (size_t)rows * OUT;
	struct layer l = { .rows = rows, .way = way };
	struct results wanted;

	pool_used = 0;
	make_layer(&l);
	wanted = compute(&l);
	carry(to_device);
	CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
	record_layer(&l);
	submit();
	carry(from_device);
	CU_ASSERT(off_by(l.x, wanted.x, all) < limit);
	CU_ASSERT(off_by(l.a, wanted.a, all) < 2 * limit);
	CU_ASSERT(l.h_only || off_by(l.h, wanted.h, all) < 2 * limit);
	if (way & TWO_NORMS) {
		CU_ASSERT(l.first_only || off_by(l.first, wanted.first, all) < limit);
		CU_ASSERT(off_by(l.z, wanted.z, (size_t)rows * INNER) < limit);
	}
	CU_ASSERT(!(way & READ_FLOATS) || !memcmp(l.copied, l.h, all * sizeof(*l.h)));
	CU_ASSERT(off_by(l.y, wanted.y, outs) < 2 * limit);
	CU_ASSERT(off_by(l.y_other, wanted.y_other, outs) < 2 * limit);
}

static void residuals(bool exact)
{
	for (uint32_t rows = 1; rows < 7; rows += 2)
		for (unsigned way = 0; way < RESIDUAL_WAYS; way++)
			residual(rows, way, exact ? 1e-5 : 0.03);
}

/* What attention leaves to the product that comes next. */
static void attention_and_product(bool exact)
{
	static const uint32_t sizes[] = { 32, 64, 96, 128, 256 };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		const uint32_t rows = i % 2 ? 3 : 1, size = sizes[i / 2], heads = 2, past = 20;
		const uint32_t width = heads * size, out = 45;
		const size_t cached = (size_t)KV_PAGE_ROWS * width;

		pool_used = 0;
		double *values = doubles((size_t)width * out),
		       *wanted = doubles((size_t)rows * out);
		const struct stoker_weight w =
			weights(stoker_format_by_name("Q4_0"), width, out, 1, values);
		const struct matrix plain_w = plain(&w, values);
		const float *keys = noise(cached), *cached_values = noise(cached);
		stoker_address *page = (stoker_address *)(void *)room(2);
		float *o = room((size_t)rows * width), *y = room((size_t)rows * out);
		const stoker_address o_q8 = stoker_takes_q8(device, &w, rows) ? q8_room(rows, width)
									      : 0;
		const struct op_attention attend = { .dst = at(o),
						     .dst_q8 = o_q8,
						     .q = at(noise((size_t)rows * width)),
						     .values = at(cached_values) - at(keys),
						     .places = places_in(at(page), past, rows),
						     .key_format = STOKER_KV_F32,
						     .value_format = STOKER_KV_F32,
						     .rows = rows,
						     .heads = heads,
						     .kv_heads = heads,
						     .key_size = size,
						     .value_size = size,
						     .q_stride = width,
						     .q_head_stride = size,
						     .dst_stride = width,
						     .scale = 1 / sqrtf((float)size) };

		*page = at(keys);
		carry(to_device);
		CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
		device_attention(device, &attend);
		matmul(rows, &w, y, o, o_q8, NULL);
		submit();
		carry(from_device);
		reference_matmul(&(struct op_matmul){ .rows = rows }, &plain_w,
				 doubles_of(o, (size_t)rows * width), wanted);
		CU_ASSERT(off_by(y, wanted, (size_t)rows * out) < (exact ? 1e-5 : 0.03));
	}
}

static void test_sequences(void)
{
	run_all_sets(sequences);
}

static void test_residual(void)
{
	run_all_sets(residuals);
}

static void test_attention_and_product(void)
{
	run_all_sets(attention_and_product);
}

void add_sequences(void)
{
	TEST(test_sequences);
	TEST(test_residual);
	TEST(test_attention_and_product);
}
