// SPDX-License-Identifier: MIT
/*
 * Attention on the CPU: keys and values are taken tile by tile and shared by the queries of a group
 * of heads and rows, with a running softmax (arXiv:2112.05682, arXiv:2205.14135).
 */
#include "device/cpu/attend.h"
#include "device/cpu/cpu.h"

#include <math.h>

enum {
	TILE = ATTEND_ROWS,
	AHEAD = KV_PAGE_ROWS, /* rows that are asked for before they are, */
	ASK_FROM = 64,	      /* if more are seen than that: fewer come by themselves */
	QUERY_ROWS = 32,      /* rows that share a tile */
	FEW_ROWS = 8,	      /* with fewer a long past is split instead */
	COLUMN_QUERIES = 64,  /* with so many a tile's keys are made columns */
	CHUNK = 256,	      /* cache rows of a job, at least, when there are few rows */
	CHUNKS = 64,	      /* of a long past, at most */
	PARTIALS = 16384,     /* what queries and chunks come to, at most */
	TOGETHER = 16,	      /* sequences, at most */
};

void cpu_kv_store(struct stoker_device *d, const struct op_kv_store *op)
{
	const struct row_place *places = places_of(op->places);
	const uint64_t bytes = stoker_kv_row_bytes(op->format, op->width);

	for (uint32_t r = 0; r < op->rows; r++) {
		const float *src = (const float *)host(op->src) + (size_t)r * op->stride;
		uintptr_t dst =
			cache_row(host(places[r].pages), op->cache, bytes, places[r].position);

		for (uint32_t h = 0; h < op->heads; h++) {
			cpu_of(d)->kernels->kv_save(op->format, src, (uint8_t *)dst, op->width);
			src += op->width;
			dst += KV_PAGE_ROWS * bytes;
		}
	}
}

/*
 * With many rows a job is a block of them and the heads, or some of them, that share a key-value
 * head.  With few rows and a long past it is a stretch of that and all heads: jobs then read the
 * cache from end to end, and what they found is put together afterwards.  Where that makes too few
 * jobs for the threads, heads are split as well; results don't depend on it.
 */
struct attention_job {
	const struct op_attention *op;
	const struct stoker_format *key_codes, *value_codes; /* where they are taken as codes */
	uint32_t group;	 /* heads of one key-value head that a job takes */
	uint32_t splits; /* jobs for each key-value head and block of rows */
	uint32_t row_blocks;
	uint32_t first, end;		       /* cache rows that are seen at all */
	uint32_t chunks, chunk_rows, kv_group; /* kv_group: key-value heads that a job takes */
	float *partial;			       /* [chunks][queries][value_size] */
	float *top, *sum;		       /* [chunks][queries] */
};

/* The part of the cache that belongs to one key-value head: where it begins in pages. */
struct cache {
	const stoker_address *pages;
	uint32_t end;				       /* cache rows that there are */
	bool asks;				       /* for those AHEAD */
	uint64_t keys, values, key_bytes, value_bytes; /* of a row */
};

static struct cache cache_of(const struct op_attention *op, uint32_t kv)
{
	const uint64_t key = stoker_kv_row_bytes(op->key_format, op->key_size);
	const uint64_t value = stoker_kv_row_bytes(op->value_format, op->value_size);
	const struct row_place *place = places_of(op->places);
	const uint32_t end = place->position + op->rows;

	return (struct cache){
		.pages = host(place->pages),
		.end = end,
		.asks = (op->window ? MIN(op->window, end) : end) > ASK_FROM,
		.keys = op->keys + kv * KV_PAGE_ROWS * key,
		.values = op->shared_value ? op->keys : op->values + kv * KV_PAGE_ROWS * value,
		.key_bytes = key,
		.value_bytes = op->shared_value ? key : value,
	};
}

static enum stoker_kv_format value_format(const struct op_attention *op)
{
	return op->shared_value ? op->key_format : op->value_format;
}

/* The format that a cache's rows are codes of, or NULL: floats are attended to. */
static const struct stoker_format *codes_of(const struct cpu *cpu, enum stoker_kv_format format)
{
	static const uint32_t ids[STOKER_KV_FORMATS] = { [STOKER_KV_Q8_0] = FORMAT_Q8_0,
							 [STOKER_KV_Q5_0] = FORMAT_Q5_0,
							 [STOKER_KV_Q4_0] = FORMAT_Q4_0 };

	return cpu->base.exact || format <= STOKER_KV_F16 ? NULL : stoker_format_by_id(ids[format]);
}

/* Room for widened keys and values, and for rows of keys that become columns. */
static size_t tile_floats(const struct op_attention *op)
{
	return (size_t)TILE * (op->key_size + op->value_size) + TILE_ROWS * op->key_size;
}

/* Where in a thread's scratch things are. */
struct attention_room {
	float *floats;
	uint8_t *keys, *values;
	struct query *queries;
	int16_t *codes; /* of queries */
};

/* Bytes before each, and of all. */
struct room_layout {
	size_t keys, values, codes, queries, end;
};

static struct room_layout lay_out(const struct attention_job *j, size_t queries)
{
	const struct op_attention *op = j->op;
	struct room_layout l;

	l.keys = round_up(tile_floats(op) * sizeof(float), 64);
	l.values = l.keys + (j->key_codes ? cpu_code_room(op->key_size) : 0);
	l.codes = l.values + (j->value_codes ? cpu_code_room(op->value_size) : 0);
	l.queries = l.codes;
	if (j->key_codes)
		l.queries += queries * cpu_code_width(op->key_size) * sizeof(int16_t);
	l.end = l.queries + queries * sizeof(struct query);
	return l;
}

static struct attention_room find_room(const struct attention_job *j, size_t queries, uint8_t *at)
{
	const struct room_layout l = lay_out(j, queries);

	return (struct attention_room){
		.floats = (float *)(void *)at,
		.keys = at + l.keys,
		.values = at + l.values,
		.codes = (int16_t *)(void *)(at + l.codes),
		.queries = (struct query *)(void *)(at + l.queries),
	};
}

/*
 * Up to TILE cache rows from @at on, where they are; @ask: for those AHEAD of them.  Written member
 * by member, as the kernels soon read them and processors wait for what is copied as a whole.
 */
static void find_rows(const struct cache *c, uint64_t first, uint64_t bytes, uint32_t at, bool ask,
		      struct head_rows *rows)
{
	const uint32_t page = at / KV_PAGE_ROWS, pages = (c->end - 1) / KV_PAGE_ROWS + 1;
	const stoker_address *p = c->pages + page;

	static_assert(TILE <= KV_PAGE_ROWS, "rows of a tile are in two pages at most");
	static_assert(AHEAD == KV_PAGE_ROWS, "what is asked for is in the next page");
	rows->at = cache_row(c->pages, first, bytes, at);
	rows->stride = bytes;
	rows->split = KV_PAGE_ROWS - at % KV_PAGE_ROWS; /* what the page has left */
	rows->jump = page + 1 < pages ? p[1] - p[0] - KV_PAGE_ROWS * bytes : 0;
	rows->ahead[0] = ask && page + 1 < pages ? p[1] - p[0] : 0;
	rows->ahead[1] = ask && page + 2 < pages ? p[2] - p[1] : 0;
}

/* A cache row as @count floats; asks for the one that is AHEAD of it. */
static void load_row(const struct cpu *cpu, enum stoker_kv_format format,
		     const struct head_rows *rows, size_t row, float *values, size_t count)
{
	const uintptr_t at = row_at(rows, row), ahead = rows->ahead[row >= rows->split];

	for (size_t i = 0; ahead && i < rows->stride; i += 64)
		__builtin_prefetch((const void *)(at + ahead + i));
	cpu->kernels->kv_load(format, (const uint8_t *)at, values, count);
}

/* Rows of a tile that the kernels don't take as they are, as floats in @room. */
static void widen(const struct cpu *cpu, const struct op_attention *op, uint32_t count, float *room,
		  struct kv_tile *t)
{
	const size_t ks = op->key_size, vs = op->value_size;
	const bool columns = t->kind == TILE_COLUMNS;
	const bool wide_keys = columns ||
			       (t->kind == TILE_FLOATS && op->key_format != STOKER_KV_F32);
	const bool same = op->shared_value && wide_keys && !columns;
	const bool wide_values = t->value_kind == TILE_FLOATS && !same &&
				 (columns || value_format(op) != STOKER_KV_F32);
	float *keys = room, *values = keys + TILE * ks, *rows = values + TILE * vs;

	if (!wide_keys && !wide_values)
		return;
	for (uint32_t i = 0; i < count; i++) {
		if (wide_keys)
			load_row(cpu, op->key_format, &t->keys, i,
				 columns ? rows + i % TILE_ROWS * ks : keys + i * ks, ks);
		if (wide_values)
			load_row(cpu, value_format(op), &t->values, i, values + i * vs, vs);
		if (!columns || ((i + 1) % TILE_ROWS && i + 1 < count))
			continue;
		/* the last rows' columns may have been used before, or never */
		for (size_t r = i % TILE_ROWS + 1; r < TILE_ROWS; r++)
			memset(rows + r * ks, 0, ks * sizeof(float));
		cpu->kernels->columns(rows, ks, keys + i / TILE_ROWS * TILE_ROWS * ks);
	}
	if (wide_keys)
		t->keys = (struct head_rows){ .at = (uintptr_t)keys,
					      .split = TILE,
					      .stride = ks * sizeof(float) };
	if (wide_values)
		t->values = (struct head_rows){ .at = (uintptr_t)values,
						.split = TILE,
						.stride = vs * sizeof(float) };
	else if (same)
		t->values = t->keys;
}

/* Cache rows [at, at + count) of one key-value head, ready for the kernels. */
static void find_tile(const struct cpu *cpu, const struct attention_job *j, const struct cache *c,
		      uint32_t at, uint32_t count, const struct attention_room *room,
		      struct kv_tile *t)
{
	const struct op_attention *op = j->op;
	const struct cpu_kernels *k = cpu->kernels;
	/* many queries pay for the work on the keys */
	const bool columns = MIN(op->rows, (uint32_t)QUERY_ROWS) * (op->heads / op->kv_heads) >=
			     COLUMN_QUERIES;
	const bool half_values = value_format(op) == STOKER_KV_F16 && k->reads_halves;
	bool half_keys = op->key_format == STOKER_KV_F16 && k->reads_halves;

	find_rows(c, c->keys, c->key_bytes, at, c->asks, &t->keys);
	find_rows(c, c->values, c->value_bytes, at, c->asks && !op->shared_value, &t->values);
	/* packing fails where something isn't finite */
	t->value_kind = j->value_codes && k->pack_codes(j->value_codes, &t->values, count,
							op->value_size, true, room->values,
							&t->value_codes)
				? TILE_CODES
			: half_values ? TILE_HALVES
				      : TILE_FLOATS;
	half_keys &= t->value_kind != TILE_FLOATS;
	if (j->key_codes && k->pack_codes(j->key_codes, &t->keys, count, op->key_size, false,
					  room->keys, &t->key_codes))
		t->kind = TILE_CODES;
	else
		t->kind = columns ? TILE_COLUMNS : half_keys ? TILE_HALVES : TILE_FLOATS;
	if (t->value_kind == TILE_HALVES && (t->kind == TILE_COLUMNS || t->kind == TILE_FLOATS))
		t->value_kind = TILE_FLOATS;
	widen(cpu, op, count, room->floats, t);
}

/* @sinks: the denominator begins with them. */
static struct query begin_query(const struct op_attention *op, uint32_t row, uint32_t head,
				float *out, bool sinks)
{
	const uint32_t end = places_of(op->places)[row].position + 1;

	memset(out, 0, op->value_size * sizeof(float));
	return (struct query){
		.q = (const float *)host(op->q) + (size_t)row * op->q_stride +
		     (size_t)head * op->q_head_stride,
		.out = out,
		.end = end,
		.first = op->window && end > op->window ? end - op->window : 0,
		.top = sinks ? ((const float *)host(op->sinks))[head] : -INFINITY,
		.sum = sinks ? 1 : 0,
	};
}

static float *output_of(const struct op_attention *op, uint32_t row, uint32_t head)
{
	return (float *)host(op->dst) + (size_t)row * op->dst_stride +
	       (size_t)head * op->value_size;
}

/* The rows of a tile that a query sees: [first, end), empty if end isn't larger. */
static void seen(const struct query *q, uint32_t at, uint32_t rows, uint32_t *first, uint32_t *end)
{
	*first = MAX(q->first, at) - at;
	*end = MIN(q->end, at + rows);
	*end = *end > at ? *end - at : 0;
}

/* Queries that see the same rows of the tile go together; the first ones ask for what follows. */
static void attend_tile(const struct cpu *cpu, const struct op_attention *op, struct kv_tile *t,
			struct query *queries, uint32_t count, uint32_t at, uint32_t rows)
{
	const unsigned most = cpu->kernels->queries;
	uint32_t first, end, other_first, other_end;

	for (uint32_t i = 0, n; i < count; i += n) {
		seen(&queries[i], at, rows, &first, &end);
		for (n = 1; n < most && i + n < count; n++) {
			seen(&queries[i + n], at, rows, &other_first, &other_end);
			if (other_first != first || other_end != end)
				break;
		}
		while (n & (n - 1))
			n &= n - 1;
		if (first >= end)
			continue;
		cpu->kernels->attend(queries + i, n, t, first, end, op);
		memset(t->keys.ahead, 0, sizeof(t->keys.ahead));
		memset(t->values.ahead, 0, sizeof(t->values.ahead));
		t->key_codes.ahead = t->value_codes.ahead = 0;
	}
}

static void attend(const struct cpu *cpu, const struct attention_job *j, unsigned thread,
		   size_t item)
{
	const struct op_attention *op = j->op;
	const uint32_t row_block = (uint32_t)(item % j->row_blocks);
	const uint32_t split = (uint32_t)(item / j->row_blocks % j->splits);
	const uint32_t kv = (uint32_t)(item / j->row_blocks / j->splits);
	const uint32_t heads_per_kv = op->heads / op->kv_heads;
	const uint32_t head0 = kv * heads_per_kv + split * j->group;
	const uint32_t heads = MIN(j->group, heads_per_kv - split * j->group);
	const uint32_t row0 = row_block * QUERY_ROWS,
		       rows = MIN(op->rows - row0, (uint32_t)QUERY_ROWS);
	const struct cache cache = cache_of(op, kv);
	const size_t width = cpu_code_width(op->key_size);
	uint32_t first = UINT32_MAX, end = 0;
	const struct attention_room room = find_room(j, heads * rows, cpu_scratch(cpu, thread));
	struct query *queries = room.queries;

	for (uint32_t i = 0; i < heads * rows; i++) {
		const uint32_t row = row0 + i / heads, head = head0 + i % heads;

		queries[i] = begin_query(op, row, head, output_of(op, row, head), op->sinks);
		if (j->key_codes)
			cpu->kernels->round_query(&queries[i], op->key_size,
						  room.codes + i * width);
		first = MIN(first, queries[i].first);
		end = MAX(end, queries[i].end);
	}
	for (uint32_t at = first; at < end; at += TILE) {
		const uint32_t count = MIN(end - at, (uint32_t)TILE);
		struct kv_tile t;

		find_tile(cpu, j, &cache, at, count, &room, &t);
		attend_tile(cpu, op, &t, queries, heads * rows, at, count);
	}
	for (uint32_t i = 0; i < heads * rows; i++)
		cpu->kernels->scale(queries[i].out, 1 / queries[i].sum, op->value_size);
}

/* Where a query's results of a chunk are: [kv][row][head of kv]. */
static size_t partial_of(const struct attention_job *j, size_t chunk, uint32_t kv, uint32_t row,
			 uint32_t head)
{
	const struct op_attention *op = j->op;

	return ((chunk * op->kv_heads + kv) * op->rows + row) * (op->heads / op->kv_heads) + head;
}

static void attend_chunk(const struct cpu *cpu, const struct attention_job *j, unsigned thread,
			 size_t item)
{
	const struct op_attention *op = j->op;
	const uint32_t heads_per_kv = op->heads / op->kv_heads;
	const uint32_t kv_groups = (op->kv_heads + j->kv_group - 1) / j->kv_group;
	const size_t chunk = item / j->splits / kv_groups;
	const uint32_t kv0 = (uint32_t)(item / j->splits % kv_groups) * j->kv_group;
	const uint32_t kv1 = MIN(kv0 + j->kv_group, op->kv_heads);
	const uint32_t head0 = (uint32_t)(item % j->splits) * j->group;
	const uint32_t heads = MIN(j->group, heads_per_kv - head0), each = heads * op->rows;
	const uint32_t from = j->first + (uint32_t)chunk * j->chunk_rows;
	const uint32_t to = MIN(j->end, from + j->chunk_rows);
	const size_t width = cpu_code_width(op->key_size);
	const struct attention_room room =
		find_room(j, (kv1 - kv0) * each, cpu_scratch(cpu, thread));
	struct query *queries = room.queries;

	for (uint32_t i = 0; i < (kv1 - kv0) * each; i++) {
		const uint32_t kv = kv0 + i / each, row = i % each / heads,
			       head = head0 + i % heads;

		queries[i] = begin_query(op, row, kv * heads_per_kv + head,
					 j->partial + partial_of(j, chunk, kv, row, head) *
							      op->value_size,
					 op->sinks && !chunk);
		if (j->key_codes)
			cpu->kernels->round_query(&queries[i], op->key_size,
						  room.codes + i * width);
	}
	for (uint32_t at = from; at < to; at += TILE)
		for (uint32_t kv = kv0; kv < kv1; kv++) {
			const uint32_t count = MIN(to - at, (uint32_t)TILE);
			const struct cache cache = cache_of(op, kv);
			struct kv_tile t;

			find_tile(cpu, j, &cache, at, count, &room, &t);
			attend_tile(cpu, op, &t, queries + (kv - kv0) * each, each, at, count);
		}
	for (uint32_t i = 0; i < (kv1 - kv0) * each; i++) {
		const size_t place =
			partial_of(j, chunk, kv0 + i / each, i % each / heads, head0 + i % heads);

		j->top[place] = queries[i].top;
		j->sum[place] = queries[i].sum;
	}
}

static void chunk_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			size_t end)
{
	for (size_t i = begin; i < end; i++)
		attend_chunk(cpu, context, thread, i);
}

/* The chunks' sums become one, as those of tiles do. */
static void merge_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			size_t end)
{
	const struct attention_job *j = context;
	const struct op_attention *op = j->op;
	const size_t count = (size_t)op->heads * op->rows;
	const uint32_t heads = op->heads / op->kv_heads, each = heads * op->rows;

	(void)thread;
	for (size_t i = begin; i < end; i++) {
		const uint32_t head = (uint32_t)(i / each * heads + i % heads);
		float *out = output_of(op, (uint32_t)(i % each / heads), head);
		float top = -INFINITY, sum = 0;

		for (uint32_t c = 0; c < j->chunks; c++)
			top = fmaxf(top, j->top[c * count + i]);
		memset(out, 0, op->value_size * sizeof(float));
		for (uint32_t c = 0; c < j->chunks; c++) {
			const size_t at = c * count + i;
			const float share = j->sum[at] == 0 ? 0 : expf(j->top[at] - top);

			sum += share * j->sum[at];
			cpu->kernels->axpy(out, share, j->partial + at * op->value_size,
					   op->value_size);
		}
		cpu->kernels->scale(out, 1 / sum, op->value_size);
	}
}

static bool reserve_tile(struct cpu *cpu, const struct attention_job *j, size_t queries)
{
	return cpu_reserve_scratch(cpu, lay_out(j, queries).end);
}

/* Enough jobs for the threads: fewer key-value heads each, then some of the heads of one. */
static void split_heads(struct attention_job *j, uint32_t jobs, unsigned threads)
{
	const uint32_t kv_heads = j->op->kv_heads, per_kv = j->op->heads / kv_heads;
	const uint32_t wanted = (threads + jobs - 1) / jobs;

	j->kv_group = wanted < kv_heads ? (kv_heads + wanted - 1) / wanted : 1;
	j->splits = MIN((wanted + kv_heads - 1) / kv_heads, per_kv);
	j->group = (per_kv + j->splits - 1) / j->splits;
	j->splits = (per_kv + j->group - 1) / j->group;
}

static void attend_chunks(struct cpu *cpu, struct attention_job *j)
{
	const struct op_attention *op = j->op;
	const size_t queries = (size_t)op->heads * op->rows;
	const size_t work = queries * j->end * (op->key_size + op->value_size);

	j->partial = cpu_reserve(cpu, &cpu->chunks,
				 j->chunks * queries * (op->value_size + 2) * sizeof(float));
	if (!j->partial || !reserve_tile(cpu, j, queries))
		return;
	j->top = j->partial + j->chunks * queries * op->value_size;
	j->sum = j->top + j->chunks * queries;
	split_heads(j, j->chunks, stoker_pool_sharers(cpu->pool));
	cpu_parallel(cpu,
		     (size_t)j->chunks * ((op->kv_heads + j->kv_group - 1) / j->kv_group) *
			     j->splits,
		     1, work, chunk_range, j);
	cpu_parallel(cpu, queries, 1, j->chunks * queries * op->value_size, merge_range, j);
}

/* How long stretches of the past are is a matter of the op alone. */
static void choose_chunks(struct attention_job *j)
{
	const uint32_t seen = j->end - j->first, queries = j->op->heads * j->op->rows;
	const uint32_t most = MIN((uint32_t)CHUNKS, PARTIALS / MAX(queries, 1u));

	j->chunks = j->op->rows < FEW_ROWS ? MIN(seen / CHUNK, most) : 0;
	if (j->chunks < 2)
		return;
	j->chunk_rows = (uint32_t)round_up((seen + j->chunks - 1) / j->chunks, TILE);
	j->chunks = (seen + j->chunk_rows - 1) / j->chunk_rows;
}

/* Sequences of a batch that are computed in one go, so that none of them waits for its last head.
 */
struct attention_jobs {
	struct op_attention ops[TOGETHER];
	struct attention_job of[TOGETHER];
	size_t count;
	size_t end[TOGETHER]; /* items, of it and those before it */
};

static void attention_range(const void *context, const struct cpu *cpu, unsigned thread,
			    size_t begin, size_t end)
{
	const struct attention_jobs *jobs = context;
	size_t n = 0;

	for (size_t i = begin; i < end; i++) {
		while (i >= jobs->end[n])
			n++;
		attend(cpu, &jobs->of[n], thread, n ? i - jobs->end[n - 1] : i);
	}
}

static void attend_together(struct cpu *cpu, struct attention_jobs *jobs)
{
	size_t work = 0, queries = 0, items = 0;
	uint32_t blocks = 0;

	for (size_t n = 0; n < jobs->count; n++)
		blocks += jobs->of[n].row_blocks;
	for (size_t n = 0; n < jobs->count; n++) {
		struct attention_job *j = &jobs->of[n];
		const struct op_attention *op = j->op;

		/* few key-value heads and few rows: split the heads so that every thread has work
		 */
		split_heads(j, blocks, stoker_pool_sharers(cpu->pool));
		queries = MAX(queries, (size_t)j->group * MIN(op->rows, (uint32_t)QUERY_ROWS));
		work += (size_t)op->rows * op->heads * j->end * (op->key_size + op->value_size);
		items += (size_t)op->kv_heads * j->splits * j->row_blocks;
		jobs->end[n] = items;
	}
	if (items && reserve_tile(cpu, &jobs->of[0], queries))
		cpu_parallel(cpu, items, 1, work, attention_range, jobs);
	jobs->count = 0;
}

/* Rows of one sequence, at once when its past is split, or as one more of @jobs. */
static void attend_sequence(struct cpu *cpu, const struct op_attention *op,
			    struct attention_jobs *jobs)
{
	const uint32_t past = places_of(op->places)->position;
	struct op_attention *own = &jobs->ops[jobs->count];
	struct attention_job *j = &jobs->of[jobs->count];

	*own = *op;
	*j = (struct attention_job){
		.op = own,
		.key_codes = codes_of(cpu, op->key_format),
		.value_codes = codes_of(cpu, value_format(op)),
		.row_blocks = (op->rows + QUERY_ROWS - 1) / QUERY_ROWS,
		.first = op->window && past + 1 > op->window ? past + 1 - op->window : 0,
		.end = past + op->rows,
	};
	choose_chunks(j);
	if (j->chunks > 1)
		attend_chunks(cpu, j);
	else if (++jobs->count == TOGETHER)
		attend_together(cpu, jobs);
}

void cpu_attention(struct stoker_device *d, const struct op_attention *op)
{
	const struct row_place *places = places_of(op->places);
	struct cpu *cpu = cpu_of(d);
	struct attention_jobs jobs;

	assert(!op->shared_value || op->kv_heads == 1);
	jobs.count = 0;
	for (uint32_t begin = 0, end; begin < op->rows && !cpu->failed; begin = end) {
		struct op_attention part = *op;

		for (end = begin + 1; end < op->rows && places[end].pages == places[begin].pages;)
			end++;
		part.rows = end - begin;
		part.places += begin * sizeof(*places);
		part.q += (uint64_t)begin * op->q_stride * sizeof(float);
		part.dst += (uint64_t)begin * op->dst_stride * sizeof(float);
		attend_sequence(cpu, &part, &jobs);
	}
	attend_together(cpu, &jobs);
}
