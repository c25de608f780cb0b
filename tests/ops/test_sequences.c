// SPDX-License-Identifier: MIT
/* Ops that devices may run together: the same as one by one. */
#include "ops.h"

static double dot_of(const double *a, const double *b, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

double *doubles_of(const float *values, size_t n)
{
	double *copy = doubles(n);

	for (size_t i = 0; i < n; i++)
		copy[i] = (double)values[i];
	return copy;
}

/* Room for q8 of rows; 0 where the device takes none. */
static stoker_address q8_room(uint32_t rows, uint32_t width)
{
	const uint64_t bytes = rows <= device->q8_rows ? rows * stoker_q8_bytes(device, width) : 0;

	return bytes ? at(room(bytes / sizeof(float))) : 0;
}

/* x += a / 2, and its RMS norm. */
void add_and_norm(uint32_t rows, uint32_t in, double *x, const double *a, const float *weight,
		  double *h)
{
	for (uint32_t r = 0; r < rows; r++) {
		double sum = 0;

		for (size_t i = (size_t)r * in; i < (size_t)(r + 1) * in; i++) {
			x[i] += 0.5 * a[i];
			sum += x[i] * x[i];
		}
		for (size_t i = 0; i < in; i++)
			h[(size_t)r * in + i] = x[(size_t)r * in + i] *
						(weight ? (double)weight[i] : 1.0) /
						sqrt(sum / in + 1e-5);
	}
}

/* y = W x for each row */
static void multiply(uint32_t rows, uint32_t in, uint32_t out, const double *w, const double *x,
		     double *y)
{
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t o = 0; o < out; o++)
			y[(size_t)r * out + o] = dot_of(w + (size_t)o * in, x + (size_t)r * in, in);
}

/* Ops as a layer has them, in one submission: devices may run some of them together. */
static void sequences(bool exact)
{
	const struct stoker_format *f = stoker_format_by_name("Q4_0");
	const double limit = exact ? 1e-5 : 0.03;

	for (uint32_t rows = 1; rows < 7; rows += 5) {
		const uint32_t in = 192, out = 45;

		pool_used = 0;
		double *gate_values = doubles((size_t)in * out),
		       *up_values = doubles((size_t)in * out);
		double *h_wanted = doubles((size_t)rows * in);
		double *y_wanted = doubles((size_t)rows * out),
		       *g_wanted = doubles((size_t)rows * out);
		const struct stoker_weight gate = weights(f, in, out, 1, gate_values);
		const struct stoker_weight up = weights(f, in, out, 1, up_values);
		float *x = noise((size_t)rows * in), *h = room((size_t)rows * in);
		const float *a = noise((size_t)rows * in), *weight = noise(in);
		float *y = room((size_t)rows * out), *g = room((size_t)rows * out);
		float *z = room((size_t)rows * out), *scratch = room((size_t)rows * out);
		double *x_wanted = doubles_of(x, (size_t)rows * in);
		const double *a_wanted = doubles_of(a, (size_t)rows * in);
		const stoker_address h_q8 = q8_room(rows, in);
		const struct op_binary add = { .dst = at(x),
					       .a = at(x),
					       .b = at(a),
					       .kind = BINARY_ADD,
					       .rows = rows,
					       .width = in,
					       .dst_stride = in,
					       .a_stride = in,
					       .b_stride = in,
					       .scale = 0.5f };
		const struct op_add_norm norm = { .x = at(x),
						  .a = at(a),
						  .h = at(h),
						  .h_q8 = h_q8,
						  .weight = at(weight),
						  .rows = rows,
						  .width = in,
						  .scale = 0.5f,
						  .eps = 1e-5f };
		const struct op_matmul first = { .count = 1,
						 .rows = rows,
						 .weight = { &up },
						 .dst = { at(y) },
						 .src = at(h),
						 .src_q8 = h_q8 };
		const struct op_gated gated = { .gate = &gate,
						.up = &up,
						.dst = at(g),
						.src = at(h),
						.src_q8 = h_q8,
						.scratch = at(scratch),
						.rows = rows,
						.activation = ACTIVATION_SILU };
		const struct op_binary square = { .dst = at(h),
						  .a = at(h),
						  .b = at(h),
						  .kind = BINARY_MUL,
						  .rows = rows,
						  .width = in,
						  .dst_stride = in,
						  .a_stride = in,
						  .b_stride = in };
		const struct op_matmul last = {
			.count = 1, .rows = rows, .weight = { &up }, .dst = { at(z) }, .src = at(h)
		};

		add_and_norm(rows, in, x_wanted, a_wanted, weight, h_wanted);
		multiply(rows, in, out, up_values, h_wanted, y_wanted);
		multiply(rows, in, out, gate_values, h_wanted, g_wanted);
		for (uint32_t i = 0; i < rows * out; i++)
			g_wanted[i] *= y_wanted[i] / (1 + exp(-g_wanted[i]));
		carry(to_device);
		CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
		device_add_norm(device, &norm);
		device_matmul(device, &first);
		device_gated(device, &gated);
		device_binary(device, &square); /* from here on h_q8 is of other values */
		device_matmul(device, &last);
		device_binary(device, &add);
		submit();
		carry(from_device);
		CU_ASSERT(off_by(y, y_wanted, (size_t)rows * out) < limit);
		CU_ASSERT(off_by(g, g_wanted, (size_t)rows * out) < 2 * limit);
		for (uint32_t i = 0; i < rows * in; i++) {
			x_wanted[i] += 0.5 * (double)a[i];
			h_wanted[i] *= h_wanted[i];
		}
		multiply(rows, in, out, up_values, h_wanted, y_wanted);
		CU_ASSERT(off_by(x, x_wanted, (size_t)rows * in) < 1e-6);
		CU_ASSERT(off_by(h, h_wanted, (size_t)rows * in) < 1e-5);
		CU_ASSERT(off_by(z, y_wanted, (size_t)rows * out) < limit);
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

/* What a residual stream consists of. */
struct stream {
	uint32_t rows, width;
	unsigned way;
	float *x, *a;
	stoker_address weight; /* of norms */
};

/* The product of @src with @w, its way to the residual, and the norm of that to @h. */
static void to_residual(const struct stream *s, const struct stoker_weight *w, const float *src,
			stoker_address src_q8, const float *h, stoker_address h_q8, bool q8_only)
{
	const struct op_add_norm then = { .x = at(s->x),
					  .a = at(s->a),
					  .h = at(h),
					  .h_q8 = h_q8,
					  .q8_only = q8_only,
					  .weight = s->weight,
					  .rows = s->rows,
					  .width = s->width,
					  .scale = 0.5f,
					  .eps = 1e-5f };
	const struct op_matmul op = { .count = 1,
				      .rows = s->rows,
				      .weight = { w },
				      .dst = { at(s->a) },
				      .src = at(src),
				      .src_q8 = src_q8,
				      .then = s->way & SEPARATE ? NULL : &then };

	device_matmul(device, &op);
	if (s->way & SEPARATE)
		device_add_norm(device, &then);
}

static void matmul(uint32_t rows, const struct stoker_weight *w, float *dst, const float *src,
		   stoker_address src_q8)
{
	const struct op_matmul op = { .count = 1,
				      .rows = rows,
				      .weight = { w },
				      .dst = { at(dst) },
				      .src = at(src),
				      .src_q8 = src_q8 };

	device_matmul(device, &op);
}

/*
 * A layer's products on their way to and from the residual, which devices may take together with
 * its sums and norms.
 */
static void residual(uint32_t rows, unsigned way, double limit)
{
	const struct stoker_format *f = stoker_format_by_name("Q4_0");
	const struct stoker_format *other = stoker_format_by_name("F16");
	const uint32_t width = 64, inner = 96, out = 45;
	const size_t all = (size_t)rows * width;

	pool_used = 0;
	double *down_values = doubles((size_t)inner * width),
	       *side_values = doubles((size_t)width * width);
	double *up_values = doubles((size_t)width * inner),
	       *gate_values = doubles((size_t)width * inner);
	double *head_values = doubles((size_t)width * out),
	       *other_values = doubles((size_t)width * out);
	const struct stoker_weight down = weights(f, inner, width, 1, down_values);
	const struct stoker_weight side = weights(f, width, width, 1, side_values);
	const struct stoker_weight up = weights(f, width, inner, 1, up_values);
	const struct stoker_weight gate = weights(f, width, inner, 1, gate_values);
	const struct stoker_weight head = weights(f, width, out, 1, head_values);
	const struct stoker_weight another =
		weights(way & MIXED_FORMATS ? other : f, width, out, 1, other_values);
	const float *u = noise((size_t)rows * inner), *weight = noise(width);
	float *first = room(all), *h = way & TWO_NORMS ? room(all) : first, *copied = room(all);
	const struct stream s = { .rows = rows,
				  .width = width,
				  .way = way,
				  .x = noise(all),
				  .a = room(all),
				  .weight = way & NO_WEIGHT ? 0 : at(weight) };
	const stoker_address first_q8 = q8_room(rows, width), second_q8 = q8_room(rows, width);
	const stoker_address h_q8 = way & (TWO_NORMS | FROM_NORM) ? second_q8 : first_q8;
	const stoker_address g_q8 = stoker_takes_q8(device, &down, rows) ? q8_room(rows, inner) : 0;
	/* the test itself looks at floats only where something is said to read them */
	const bool only = stoker_takes_q8(device, &up, rows);
	const bool h_only = only && stoker_takes_q8(device, &another, rows) && !(way & READ_FLOATS);
	float *g = room((size_t)rows * inner), *scratch = room((size_t)rows * inner);
	float *z = room((size_t)rows * inner);
	float *y = room((size_t)rows * out), *y_other = room((size_t)rows * out);
	double *x_wanted = doubles_of(s.x, all), *u_wanted = doubles_of(u, (size_t)rows * inner);
	double *a_wanted = doubles(all), *g_wanted = doubles((size_t)rows * inner);
	double *first_wanted = doubles(all), *h_wanted = doubles(all);
	double *z_wanted = doubles((size_t)rows * inner), *y_wanted = doubles((size_t)rows * out);
	const struct op_gated gated = { .gate = &gate,
					.up = &up,
					.dst = at(g),
					.dst_q8 = g_q8,
					.src = at(first),
					.src_q8 = first_q8,
					.scratch = at(scratch),
					.rows = rows,
					.activation = ACTIVATION_SILU };
	const struct op_matmul heads = { .count = 2,
					 .rows = rows,
					 .weight = { &another, &head },
					 .dst = { at(y_other), at(y) },
					 .src = at(h),
					 .src_q8 = h_q8 };
	const struct op_copy read = { .dst = at(copied),
				      .src = at(h),
				      .rows = rows,
				      .width = width,
				      .dst_stride = width,
				      .src_stride = width };

	multiply(rows, inner, width, down_values, u_wanted, a_wanted);
	add_and_norm(rows, width, x_wanted, a_wanted, s.weight ? weight : NULL, first_wanted);
	multiply(rows, width, inner, up_values, first_wanted, z_wanted);
	multiply(rows, width, inner, gate_values, first_wanted, g_wanted);
	for (size_t i = 0; i < (size_t)rows * inner; i++)
		g_wanted[i] *= z_wanted[i] / (1 + exp(-g_wanted[i]));
	if (way & FROM_NORM)
		multiply(rows, width, width, side_values, first_wanted, a_wanted);
	else
		multiply(rows, inner, width, down_values, g_wanted, a_wanted);
	add_and_norm(rows, width, x_wanted, a_wanted, s.weight ? weight : NULL, h_wanted);

	carry(to_device);
	CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
	to_residual(&s, &down, u, 0, first, first_q8, only);
	if (way & FROM_NORM) {
		to_residual(&s, &side, first, first_q8, h, h_q8, h_only);
	} else {
		device_gated(device, &gated);
		to_residual(&s, &down, g, g_q8, h, h_q8, h_only);
	}
	if (way & TWO_NORMS)
		matmul(rows, &up, z, first, first_q8);
	device_matmul(device, &heads);
	if (way & READ_FLOATS)
		device_copy(device, &read);
	submit();
	carry(from_device);
	CU_ASSERT(off_by(s.x, x_wanted, all) < limit);
	CU_ASSERT(off_by(s.a, a_wanted, all) < 2 * limit);
	CU_ASSERT(h_only || off_by(h, h_wanted, all) < 2 * limit);
	CU_ASSERT(!(way & TWO_NORMS) || only || off_by(first, first_wanted, all) < limit);
	CU_ASSERT(!(way & TWO_NORMS) || off_by(z, z_wanted, (size_t)rows * inner) < limit);
	CU_ASSERT(!(way & READ_FLOATS) || !memcmp(copied, h, all * sizeof(*h)));
	multiply(rows, width, out, head_values, h_wanted, y_wanted);
	CU_ASSERT(off_by(y, y_wanted, (size_t)rows * out) < 2 * limit);
	multiply(rows, width, out, other_values, h_wanted, y_wanted);
	CU_ASSERT(off_by(y_other, y_wanted, (size_t)rows * out) < 2 * limit);
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
		const size_t cached = (size_t)(past + rows) * width;

		pool_used = 0;
		double *values = doubles((size_t)width * out),
		       *wanted = doubles((size_t)rows * out);
		const struct stoker_weight w =
			weights(stoker_format_by_name("Q4_0"), width, out, 1, values);
		float *o = room((size_t)rows * width), *y = room((size_t)rows * out);
		const stoker_address o_q8 = stoker_takes_q8(device, &w, rows) ? q8_room(rows, width)
									      : 0;
		const struct op_attention attend = { .dst = at(o),
						     .dst_q8 = o_q8,
						     .q = at(noise((size_t)rows * width)),
						     .keys = at(noise(cached)),
						     .values = at(noise(cached)),
						     .position = at(number(past)),
						     .format = STOKER_KV_F32,
						     .rows = rows,
						     .heads = heads,
						     .kv_heads = heads,
						     .key_size = size,
						     .value_size = size,
						     .q_stride = width,
						     .q_head_stride = size,
						     .dst_stride = width,
						     .scale = 1 / sqrtf((float)size) };

		carry(to_device);
		CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
		device_attention(device, &attend);
		matmul(rows, &w, y, o, o_q8);
		submit();
		carry(from_device);
		multiply(rows, width, out, values, doubles_of(o, (size_t)rows * width), wanted);
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
