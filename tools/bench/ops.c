// SPDX-License-Identifier: MIT
/* Measuring ops other than single products, in the sizes of real models: see bench/measure.h. */
#include <stdio.h>

#include "device/device.h"
#include "bench/measure.h"

/* Sizes of Qwen3-30B-A3B; of DeepSeek-V2-Lite for heads, of Qwen3-Next for the recurrent ops. */
enum {
	WIDTH = 2048,
	HEADS = 32,
	KV_HEADS = 4,
	HEAD = 128,
	EXPERTS = 128,
	USED = 8,
	EXPERT_WIDTH = 768,
	VOCABULARY = 151936,
	LATENT = 512,
	LATENT_HEADS = 16,
	CHANNELS = 8192,
	TAPS = 4,
	KEY_HEADS = 16,
	VALUE_HEADS = 32,

	MOST_ROWS = 512,
	MOST_POSITIONS = 4096,
	PAGES = MOST_POSITIONS / KV_PAGE_ROWS,
	CACHES = 8, /* layers' keys and values, so that they come from memory */
	PASSES = 7,
	PASS_NS = 30000000,
	MOST_REPEATS = 4096,
};

/* Where operands are; all values are small and finite. */
struct bed {
	struct stoker_device *d;
	struct stoker_memory weights, floats, caches;
	struct stoker_weight gate, up, down, heads, table;
	stoker_address x, y, z, w, ids, chosen, places, frequency, pages;
	uint64_t cache_bytes; /* keys or values of a layer in a page */
};

/* One op as it is measured: @rows tokens after @position others, for the @i-th time. */
struct point {
	const char *name;
	void (*record)(const struct bed *b, const struct point *p, uint32_t i);
	uint32_t rows, position;
	double bytes, operations;
};

/* At the beginning, or one row with all others before it. */
static stoker_address places_of(const struct bed *b, const struct point *p)
{
	return b->places + (p->position ? MOST_ROWS * sizeof(struct row_place) : 0);
}

static void record_embed(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_embed op = {
		.dst = b->y, .ids = b->ids, .table = &b->table, .rows = p->rows, .scale = 1
	};

	(void)i;
	device_embed(b->d, &op);
}

static void record_norm(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_norm op = { .dst = b->y,
				    .src = b->x,
				    .weight = b->w,
				    .rows = p->rows,
				    .groups = 1,
				    .width = WIDTH,
				    .dst_stride = WIDTH,
				    .src_stride = WIDTH,
				    .eps = 1e-6f };

	(void)i;
	device_norm(b->d, &op);
}

static void record_rope(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_rope op = { .x = b->y,
				    .frequency = b->frequency,
				    .places = places_of(b, p),
				    .rows = p->rows,
				    .heads = HEADS,
				    .head_stride = HEAD,
				    .stride = HEADS * HEAD,
				    .pairs = HEAD / 2,
				    .magnitude = 1 };

	(void)i;
	device_rope(b->d, &op);
}

/* Where in pages keys or values of a layer are. */
static uint64_t cache_of(const struct bed *b, uint32_t i, bool values)
{
	return (2 * (uint64_t)(i % CACHES) + values) * b->cache_bytes;
}

static void record_kv_store(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_kv_store op = { .cache = cache_of(b, i, false),
					.src = b->x,
					.places = places_of(b, p),
					.format = STOKER_KV_F16,
					.rows = p->rows,
					.heads = KV_HEADS,
					.width = HEAD,
					.stride = KV_HEADS * HEAD };

	device_kv_store(b->d, &op);
}

static struct op_qkv qkv_of(const struct bed *b, const struct point *p, uint32_t i)
{
	return (struct op_qkv){ .q = b->y,
				.k = b->x,
				.v = b->z,
				.q_norm = b->w,
				.k_norm = b->w,
				.keys = cache_of(b, i, false),
				.values = cache_of(b, i, true),
				.frequency = b->frequency,
				.places = places_of(b, p),
				.key_format = STOKER_KV_F16,
				.value_format = STOKER_KV_F16,
				.rows = p->rows,
				.heads = HEADS,
				.kv_heads = KV_HEADS,
				.key_size = HEAD,
				.value_size = HEAD,
				.pairs = HEAD / 2,
				.eps = 1e-6f,
				.magnitude = 1 };
}

static void record_qkv(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_qkv op = qkv_of(b, p, i);

	device_qkv(b->d, &op);
}

static void record_attention(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_attention op = { .dst = b->y,
					 .q = b->x,
					 .keys = cache_of(b, i, false),
					 .values = cache_of(b, i, true),
					 .places = places_of(b, p),
					 .key_format = STOKER_KV_F16,
					 .value_format = STOKER_KV_F16,
					 .rows = p->rows,
					 .heads = HEADS,
					 .kv_heads = KV_HEADS,
					 .key_size = HEAD,
					 .value_size = HEAD,
					 .q_stride = HEADS * HEAD,
					 .q_head_stride = HEAD,
					 .dst_stride = HEADS * HEAD,
					 .scale = 0.1f };

	device_attention(b->d, &op);
}

static void record_route(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_route op = { .ids = b->chosen,
				     .weights = b->z,
				     .logits = b->x,
				     .rows = p->rows,
				     .experts = EXPERTS,
				     .used = USED,
				     .gating = GATING_SOFTMAX,
				     .normalize = true,
				     .scale = 1 };

	(void)i;
	device_route(b->d, &op);
}

static void record_experts(const struct bed *b, const struct point *p, uint32_t i)
{
	const uint32_t tokens = MOST_ROWS / p->rows; /* ids for so many others are there */
	const struct op_experts op = { .dst = b->y,
				       .src = b->x,
				       .ids = b->ids + 4 * USED * (i % tokens),
				       .weights = b->w,
				       .gate = &b->gate,
				       .up = &b->up,
				       .down = &b->down,
				       .rows = p->rows,
				       .used = USED };

	device_experts(b->d, &op);
}

static void record_heads(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_matmul_heads op = { .weight = &b->heads,
					    .dst = b->y,
					    .src = b->x,
					    .rows = p->rows,
					    .dst_stride = LATENT_HEADS * LATENT,
					    .dst_head_stride = LATENT,
					    .src_stride = LATENT_HEADS * HEAD,
					    .src_head_stride = HEAD };

	(void)i;
	device_matmul_heads(b->d, &op);
}

static void record_glu(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_glu op = { .dst = b->y,
				   .gate = b->x,
				   .up = b->z,
				   .rows = p->rows,
				   .width = WIDTH,
				   .gate_stride = WIDTH,
				   .up_stride = WIDTH };

	(void)i;
	device_glu(b->d, &op);
}

static void record_add(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_binary op = { .dst = b->y,
				      .a = b->x,
				      .b = b->z,
				      .rows = p->rows,
				      .width = WIDTH,
				      .dst_stride = WIDTH,
				      .a_stride = WIDTH,
				      .b_stride = WIDTH,
				      .scale = 1 };

	(void)i;
	device_binary(b->d, &op);
}

static void record_copy(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_copy op = { .dst = b->y,
				    .src = b->x,
				    .rows = p->rows,
				    .width = WIDTH,
				    .dst_stride = WIDTH,
				    .src_stride = WIDTH };

	(void)i;
	device_copy(b->d, &op);
}

static void record_scale(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_scale op = {
		.x = b->y, .count = (uint64_t)p->rows * VOCABULARY, .scale = 1, .cap = 30
	};

	(void)i;
	device_scale(b->d, &op);
}

static void record_conv(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_conv op = { .dst = b->y,
				    .src = b->x,
				    .weight = b->w,
				    .state = b->z,
				    .places = places_of(b, p),
				    .rows = p->rows,
				    .channels = CHANNELS,
				    .taps = TAPS,
				    .dst_stride = CHANNELS,
				    .src_stride = CHANNELS,
				    .silu = true };

	(void)i;
	device_conv(b->d, &op);
}

static void record_delta_net(const struct bed *b, const struct point *p, uint32_t i)
{
	const struct op_delta_net op = { .dst = b->y,
					 .q = b->x,
					 .k = b->x + 4 * KEY_HEADS * HEAD,
					 .v = b->x + 8 * KEY_HEADS * HEAD,
					 .alpha = b->w,
					 .beta = b->w,
					 .dt = b->w,
					 .a = b->w,
					 .state = b->z,
					 .places = places_of(b, p),
					 .rows = p->rows,
					 .key_heads = KEY_HEADS,
					 .value_heads = VALUE_HEADS,
					 .size = HEAD,
					 .qkv_stride = CHANNELS,
					 .dst_stride = VALUE_HEADS * HEAD };

	(void)i;
	device_delta_net(b->d, &op);
}

/* Floats of an operand: the widest row for all tokens, or the recurrent state. */
static const uint64_t operand = (uint64_t)MOST_ROWS * CHANNELS;

/* Bytes of 0x3c make small finite values in every format, and cost drivers what others would. */
static int fill(struct stoker_device *d, stoker_address at, uint64_t bytes,
		struct stoker_error *err)
{
	static uint8_t pattern[1 << 20];
	int ret = 0;

	memset(pattern, 0x3c, sizeof(pattern));
	for (uint64_t n; bytes && !ret; bytes -= n, at += n) {
		n = MIN(bytes, (uint64_t)sizeof(pattern));
		ret = d->ops->write(d, at, pattern, n, err);
	}
	return ret;
}

static struct stoker_weight weight_of(const struct stoker_device *d, const struct stoker_format *f,
				      stoker_address *at, uint32_t in, uint32_t out, uint32_t count)
{
	const struct stoker_weight w = { .format = f,
					 .at = *at,
					 .in = in,
					 .out = out,
					 .count = count,
					 .stride = stoker_row_bytes(f, in) * out,
					 .tiled = stoker_wants_tiles(d, f, in, 0) };

	*at += round_up(w.stride * count, 64);
	return w;
}

/* Places weights from @at on and returns where they end. */
static stoker_address place_weights(struct bed *b, const struct stoker_format *f, stoker_address at)
{
	b->gate = weight_of(b->d, f, &at, WIDTH, EXPERT_WIDTH, EXPERTS);
	b->up = weight_of(b->d, f, &at, WIDTH, EXPERT_WIDTH, EXPERTS);
	b->down = weight_of(b->d, f, &at, EXPERT_WIDTH, WIDTH, EXPERTS);
	b->heads = weight_of(b->d, stoker_format_by_name("Q8_0"), &at, HEAD, LATENT, LATENT_HEADS);
	b->table = weight_of(b->d, f, &at, WIDTH, MOST_ROWS * USED, 1);
	return at;
}

static int write_numbers(struct bed *b, struct stoker_error *err)
{
	static uint32_t ids[MOST_ROWS * USED];
	struct row_place places[MOST_ROWS + 1];
	stoker_address pages[PAGES];
	float frequency[HEAD / 2];
	int ret;

	/* every token has experts of its own, spread evenly */
	for (uint32_t i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = (i / USED * 37 + i % USED * 16) % EXPERTS;
	for (uint32_t i = 0; i <= MOST_ROWS; i++)
		places[i] =
			(struct row_place){ .pages = b->pages,
					    .position = i < MOST_ROWS ? i : MOST_POSITIONS - 1 };
	for (uint32_t i = 0; i < PAGES; i++)
		pages[i] = b->caches.at + i * 2 * CACHES * b->cache_bytes;
	for (uint32_t i = 0; i < HEAD / 2; i++)
		frequency[i] = 1.0f / (float)(1 + i);
	ret = b->d->ops->write(b->d, b->ids, ids, sizeof(ids), err);
	if (!ret)
		ret = b->d->ops->write(b->d, b->places, places, sizeof(places), err);
	if (!ret)
		ret = b->d->ops->write(b->d, b->pages, pages, sizeof(pages), err);
	if (!ret)
		ret = b->d->ops->write(b->d, b->frequency, frequency, sizeof(frequency), err);
	return ret;
}

static int make_bed(struct bed *b, const struct stoker_format *f, struct stoker_error *err)
{
	const struct stoker_device_ops *ops = b->d->ops;
	const uint64_t weight_bytes = place_weights(b, f, 0);
	const uint64_t numbers = MOST_ROWS * USED;
	int ret;

	b->cache_bytes = KV_PAGE_ROWS * stoker_kv_row_bytes(STOKER_KV_F16, KV_HEADS * HEAD);
	ret = ops->memory_create(b->d, weight_bytes, &b->weights, err);
	if (!ret)
		ret = ops->memory_create(b->d, 4 * (4 * operand + 4 * numbers), &b->floats, err);
	if (!ret)
		ret = ops->memory_create(b->d, PAGES * 2 * CACHES * b->cache_bytes, &b->caches,
					 err);
	if (ret)
		return ret;
	place_weights(b, f, b->weights.at);
	b->x = b->floats.at;
	b->y = b->x + 4 * operand;
	b->z = b->y + 4 * operand;
	b->w = b->z + 4 * operand;
	b->ids = b->w + 4 * operand;
	b->chosen = b->ids + 4 * numbers;
	b->places = b->chosen + 4 * numbers;
	b->frequency = b->places + 4 * numbers;
	b->pages = b->frequency + 4 * HEAD;
	ret = fill(b->d, b->weights.at, b->weights.bytes, err);
	if (!ret)
		ret = fill(b->d, b->floats.at, 16 * operand, err);
	if (!ret)
		ret = fill(b->d, b->caches.at, b->caches.bytes, err);
	return ret ? ret : write_numbers(b, err);
}

static int measure(const struct bed *b, const struct point *p, double *median,
		   struct stoker_error *err)
{
	uint64_t repeats = 1;
	double seconds[PASSES];
	int ret = 0;

	/* the first passes prepare, and find out how many repetitions take a while */
	for (int pass = -2; pass < PASSES && !ret; pass++) {
		const uint64_t started = stoker_now_ns();

		ret = b->d->ops->begin(b->d, err);
		for (uint32_t i = 0; i < repeats && !ret; i++)
			p->record(b, p, i);
		if (!ret)
			ret = b->d->ops->submit(b->d, NULL, err);
		const uint64_t took = MAX(stoker_now_ns() - started, (uint64_t)1);

		if (pass >= 0)
			seconds[pass] = 1e-9 * (double)took / (double)repeats;
		if (pass == -1)
			repeats = MAX(MIN(PASS_NS / took, (uint64_t)MOST_REPEATS), (uint64_t)1);
	}
	if (ret)
		return ret;
	*median = stoker_median(seconds, PASSES);
	return 0;
}

static double weight_bytes(const struct stoker_weight *w, double matrices)
{
	return matrices * (double)w->stride;
}

/* What the ops have to read and write, and to compute where that is what they are about. */
static size_t list_points(const struct bed *b, struct point *list)
{
	static const uint32_t tokens[] = { 1, MOST_ROWS };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		const uint32_t rows = tokens[i], past = rows == 1 ? MOST_POSITIONS - 1 : 0;
		const struct op_qkv qkv = qkv_of(b, &(struct point){ .rows = rows }, 0);
		const bool has_qkv = device_supports(b->d, STOKER_OP_QKV, &qkv);
		const double r = rows, positions = past ? MOST_POSITIONS : (r + 1) / 2;
		const double active = MIN(r * USED, (double)EXPERTS);
		const double macs = r * USED * 3.0 * WIDTH * EXPERT_WIDTH;
		const double kv = 2.0 * KV_HEADS * HEAD, heads = (double)HEADS * HEAD;
		const double state = (double)VALUE_HEADS * HEAD * HEAD;
		const struct point points[] = {
			{ "embed", record_embed, rows, 0,
			  r * ((double)stoker_row_bytes(b->table.format, WIDTH) + 4 * WIDTH), 0 },
			{ "norm", record_norm, rows, 0, r * 8 * WIDTH, 0 },
			{ "rope", record_rope, rows, past, r * 8 * heads, 0 },
			{ "kv_store", record_kv_store, rows, 0, r * 3 * kv, 0 },
			{ has_qkv ? "qkv" : NULL, record_qkv, rows, 0, r * (8 * heads + 6 * kv),
			  0 },
			{ "attention", record_attention, rows, past,
			  (past ? positions : r) * 2 * kv + r * 8 * heads,
			  4 * r * positions * heads },
			{ "matmul_heads", record_heads, rows, 0,
			  weight_bytes(&b->heads, LATENT_HEADS) +
				  r * 4 * LATENT_HEADS * (HEAD + LATENT),
			  2 * r * LATENT_HEADS * HEAD * LATENT },
			{ "route", record_route, rows, 0, r * (4 * EXPERTS + 8 * USED), 0 },
			{ "experts", record_experts, rows, 0,
			  weight_bytes(&b->gate, active) + weight_bytes(&b->up, active) +
				  weight_bytes(&b->down, active),
			  2 * macs },
			{ "glu", record_glu, rows, 0, r * 12 * WIDTH, 0 },
			{ "add", record_add, rows, 0, r * 12 * WIDTH, 0 },
			{ "copy", record_copy, rows, 0, r * 8 * WIDTH, 0 },
			{ "conv", record_conv, rows, 0, r * 8 * CHANNELS, 0 },
			{ "delta_net", record_delta_net, rows, 0, 8 * state, 8 * r * state },
			{ rows == 1 ? "softcap" : NULL, record_scale, rows, 0, 8.0 * VOCABULARY,
			  0 },
		};

		for (size_t k = 0; k < ARRAY_SIZE(points); k++)
			if (points[k].name)
				list[n++] = points[k];
	}
	return n;
}

int measure_ops(struct stoker_device *d, const char *format, measure_op_fn *fn, void *context,
		struct stoker_error *err)
{
	const struct stoker_format *f = stoker_format_by_name(format);
	struct bed b = { .d = d };
	struct point list[40];
	int ret;

	if (!f || EXPERT_WIDTH % f->block_values)
		return stoker_fail(err, -EINVAL, "%s: no format of weights", format);
	pthread_mutex_lock(&d->exclusive);
	ret = make_bed(&b, f, err);
	const size_t count = list_points(&b, list);

	for (size_t i = 0; i < count && !ret; i++) {
		struct measure_op op = { .name = list[i].name,
					 .rows = list[i].rows,
					 .positions = list[i].position + list[i].rows,
					 .bytes = list[i].bytes,
					 .operations = list[i].operations };

		ret = measure(&b, &list[i], &op.seconds, err);
		if (!ret)
			fn(context, &op);
	}
	pthread_mutex_unlock(&d->exclusive);
	d->ops->memory_destroy(d, &b.weights);
	d->ops->memory_destroy(d, &b.floats);
	d->ops->memory_destroy(d, &b.caches);
	return ret;
}
