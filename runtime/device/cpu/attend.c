// SPDX-License-Identifier: MIT
/*
 * Queries of attention and some cache rows, with a running softmax: see cpu_attend in kernels.h.
 *
 * 1, 2, 4 or 8 queries go through the rows together.  Scores are laid out [row][query], so that a
 * vector holds all queries' scores of LANES / queries rows, which are also as many sums as are kept
 * in registers; a query's results don't depend on how many went with it.
 */
#include "device/cpu/softmax.h"
#include "device/cpu/transpose.h"

/* Values [c, c + LANES) of a row of floats or halves. */
INLINE vec row_values(const uint8_t *row, size_t c, bool half)
{
	return half ? load_halves(row + 2 * c) : load((const float *)(const void *)row + c);
}

/* Values [c, c + n), fewer than LANES, and zeros. */
INLINE vec row_end(const uint8_t *row, size_t c, size_t n, bool half)
{
#if HAVE_VNNI512
	const __mmask16 mask = (__mmask16)((1u << n) - 1);

	return half ? (vec)_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + 2 * c))
		    : (vec)_mm512_maskz_loadu_ps(mask, row + 4 * c);
#else
	const size_t value = half ? 2 : 4;
	uint8_t part[4 * LANES] = { 0 };

	memcpy(part, row + value * c, value * n);
	return row_values(part, 0, half);
#endif
}

/* The lines that end in [from, from + bytes) of a row that is needed later. */
INLINE void ask_for(uintptr_t row, size_t from, size_t bytes)
{
	for (size_t line = from / 64; line < (from + bytes) / 64; line++)
		__builtin_prefetch((const void *)(row + 64 * line));
}

INLINE struct head_rows rows_from(const struct head_rows *rows, size_t first)
{
	const bool behind = first >= rows->split;

	return (struct head_rows){
		.at = row_at(rows, first),
		.stride = rows->stride,
		.split = behind ? SIZE_MAX : rows->split - first,
		.jump = rows->jump,
		.ahead = { rows->ahead[behind], rows->ahead[1] },
	};
}

/* A vector of scores: those of LANES / @count rows, at @offset bytes from @at each. */
INLINE vec dots(const struct query *queries, size_t count, const uint8_t *at, const size_t *offset,
		size_t n, bool half)
{
	const size_t rows = LANES / count, rest = n % LANES;
	vec sum[LANES] = { 0 }, row[LANES];
	size_t c = 0;

	for (; c + LANES <= n; c += LANES) {
		for (size_t r = 0; r < rows; r++)
			row[r] = row_values(at + offset[r], c, half);
		for (size_t h = 0; h < count; h++) {
			const vec q = load(queries[h].q + c);

			for (size_t r = 0; r < rows; r++)
				sum[count * r + h] += q * row[r];
		}
	}
	if (rest) {
		for (size_t r = 0; r < rows; r++)
			row[r] = row_end(at + offset[r], c, rest, half);
		for (size_t h = 0; h < count; h++) {
			const vec q = row_end((const uint8_t *)queries[h].q, c, rest, false);

			for (size_t r = 0; r < rows; r++)
				sum[count * r + h] += q * row[r];
		}
	}
	return sums_of(sum);
}

/* Scores of rows of which some are in another page. */
INLINE vec score_in_two(const struct query *queries, size_t count, const struct head_rows *keys,
			size_t first, size_t last, const struct op_attention *op, bool half)
{
	const uintptr_t at = row_at(keys, first);
	size_t offset[LANES];

	for (size_t r = 0; r < LANES / count; r++)
		offset[r] = row_at(keys, MIN(first + r, last)) - at;
	return scaled(op, dots(queries, count, (const uint8_t *)at, offset, op->key_size, half));
}

/* Scores [row][query] of @n rows. */
INLINE void score(const struct query *queries, size_t count, const struct head_rows *keys, size_t n,
		  const struct op_attention *op, bool half, float *scores)
{
	const struct head_rows rows = *keys; /* that nothing here writes to */
	const size_t size = op->key_size, together = LANES / count;
	size_t offset[LANES];

	for (size_t r = 0; r < together; r++)
		offset[r] = MIN(r, n - 1) * rows.stride;
	/* the last vector takes rows again that the one before had */
	for (size_t i = 0; i < n; i += together) {
		const size_t first = n < together ? 0 : MIN(i, n - together);
		const size_t last = MIN(first + together, n) - 1;
		const bool behind = first >= rows.split;
		const uintptr_t at = row_at(&rows, first);
		const uintptr_t ahead = behind ? rows.ahead[1] : rows.ahead[0];

		if (!behind && last >= rows.split) {
			store(scores + first * count,
			      score_in_two(queries, count, &rows, first, last, op, half));
			continue;
		}
		for (size_t r = 0; ahead && r < together; r++)
			ask_for(at + ahead + offset[r], 0, round_up(size * (half ? 2 : 4), 64));
		store(scores + first * count,
		      scaled(op, dots(queries, count, (const uint8_t *)at, offset, size, half)));
	}
}

/* Scores of so many queries and vectors of rows: at @keys, and each block of TILE_ROWS after it. */
INLINE void score_columns_part(const struct query *queries, size_t count, const float *keys,
			       size_t vectors, const struct op_attention *op, float *scores)
{
	const size_t size = op->key_size;
	vec sum[16] = { 0 }, key[4];

	for (size_t c = 0; c < size; c++) {
		for (size_t v = 0; v < vectors; v++)
			key[v] = load(keys + v * LANES / TILE_ROWS * TILE_ROWS * size +
				      c * TILE_ROWS + v * LANES % TILE_ROWS);
		for (size_t h = 0; h < count; h++)
			for (size_t v = 0; v < vectors; v++)
				sum[vectors * h + v] += queries[h].q[c] * key[v];
	}
	for (size_t h = 0; h < count; h++)
		for (size_t v = 0; v < vectors; v++)
			store(scores + h * ATTEND_ROWS + v * LANES,
			      scaled(op, sum[vectors * h + v]));
}

/* Scores [query][ATTEND_ROWS] of @blocks blocks of TILE_ROWS rows, at least one. */
INLINE void score_columns(const struct query *queries, size_t count, const float *keys,
			  size_t blocks, const struct op_attention *op, float *scores)
{
	/* as many sums as registers hold */
	const size_t together = LANES == 16 ? 2 : 1, vectors = TILE_ROWS / LANES;
	const size_t most = LANES == 16 || count < 4 ? count : 4;
	size_t b = 0;

	do {
		const float *at = keys + b * TILE_ROWS * op->key_size;
		float *s = scores + b * TILE_ROWS;

		for (size_t h = 0; h < count; h += most, s += most * ATTEND_ROWS)
			if (b + together <= blocks)
				score_columns_part(queries + h, most, at, together * vectors, op,
						   s);
			else
				score_columns_part(queries + h, most, at, vectors, op, s);
		b += together;
	} while (b < blocks);
}

struct weights {
	const float *at;
	size_t row_step, query_step;
};

INLINE float weight_of(const struct weights *w, size_t row, size_t query)
{
	return w->at[row * w->row_step + query * w->query_step];
}

/* Values [c, c + @vectors * LANES) of each output, which stay in registers. */
INLINE void add_part(struct query *queries, size_t count, const struct head_rows *values, size_t n,
		     const struct weights *w, size_t c, size_t vectors, bool half)
{
	const size_t value = half ? 2 : 4;
	const struct head_rows rows = *values; /* that nothing here writes to */
	uintptr_t at = rows.at;
	vec sum[16], row[4];

	for (size_t h = 0; h < count; h++)
		for (size_t v = 0; v < vectors; v++)
			sum[vectors * h + v] = load(queries[h].out + c + LANES * v);
	for (size_t i = 0, end = MIN(rows.split, n); i < n; end = n, at += rows.jump) {
		const uintptr_t ahead = rows.ahead[i > 0];

		for (; i < end; i++, at += rows.stride) {
			if (ahead)
				ask_for(at + ahead, c * value, vectors * LANES * value);
			for (size_t v = 0; v < vectors; v++)
				row[v] = row_values((const uint8_t *)at, c + LANES * v, half);
			for (size_t h = 0; h < count; h++)
				for (size_t v = 0; v < vectors; v++)
					sum[vectors * h + v] += weight_of(w, i, h) * row[v];
		}
	}
	for (size_t h = 0; h < count; h++)
		for (size_t v = 0; v < vectors; v++)
			store(queries[h].out + c + LANES * v, sum[vectors * h + v]);
}

/* Values [c, c + rest), fewer than LANES. */
INLINE void add_end(struct query *queries, size_t count, const struct head_rows *values, size_t n,
		    const struct weights *w, size_t c, size_t rest, bool half)
{
	const struct head_rows rows = *values;
	vec sum[QUERIES];

	for (size_t h = 0; h < count; h++)
		sum[h] = row_end((const uint8_t *)queries[h].out, c, rest, false);
	for (size_t i = 0; i < n; i++) {
		const uintptr_t at = row_at(&rows, i);
		const vec row = row_end((const uint8_t *)at, c, rest, half);

		if (rows.ahead[i >= rows.split])
			ask_for(at + rows.ahead[i >= rows.split], c * (half ? 2 : 4), 64);
		for (size_t h = 0; h < count; h++)
			sum[h] += weight_of(w, i, h) * row;
	}
	for (size_t h = 0; h < count; h++)
		memcpy(queries[h].out + c, &sum[h], rest * sizeof(float));
}

/* out += the sum over rows of their weight times their values. */
INLINE void add_values(struct query *queries, size_t count, const struct head_rows *values,
		       size_t n, const struct weights *w, size_t size, bool half)
{
	const size_t vectors = LANES / count < 4 ? LANES / count : 4;
	size_t c = 0;

	for (; c + vectors * LANES <= size; c += vectors * LANES)
		add_part(queries, count, values, n, w, c, vectors, half);
	for (; c + LANES <= size; c += LANES)
		add_part(queries, count, values, n, w, c, 1, half);
	if (c < size)
		add_end(queries, count, values, n, w, c, size - c, half);
}

/*
 * @top: the tile's largest scores, which become the largest of all.  @most: receives the largest
 * weight of each query where values are codes.
 */
INLINE void raise_tops(struct query *queries, size_t count, const struct kv_tile *t,
		       const struct op_attention *op, float *top, float most[LANES])
{
	float least[LANES] = { 0 };

	for (size_t h = 0; h < count; h++) {
		least[h] = top[h];
		raise_top(&queries[h], top[h], op->value_size);
		top[h] = queries[h].top;
		least[h] -= top[h];
	}
	if (t->value_kind == TILE_CODES)
		store(most, exp_of(load(least)));
}

/* @w by value, and apart from @most: its steps are then numbers in the code of the loops. */
INLINE void add_tile(struct query *queries, size_t count, const struct kv_tile *t, size_t first,
		     size_t end, const struct op_attention *op, bool half, const struct weights w,
		     const float *most)
{
	const struct head_rows values = rows_from(&t->values, first);
	float weights[QUERIES * ATTEND_ROWS];

	if (t->value_kind != TILE_CODES) {
		add_values(queries, count, &values, end - first, &w, op->value_size, half);
		return;
	}
	if (w.query_step == ATTEND_ROWS) {
		ISA_NAME(cpu_add_codes)
		(queries, (unsigned)count, &t->value_codes, (unsigned)first, (unsigned)end, op,
		 w.at - first, most);
		return;
	}
	for (size_t h = 0; h < count; h++)
		for (size_t r = 0; r < round_up(end, TILE_ROWS); r++)
			weights[h * ATTEND_ROWS + r] =
				r < first || r >= end ? 0 : weight_of(&w, r - first, h);
	ISA_NAME(cpu_add_codes)
	(queries, (unsigned)count, &t->value_codes, (unsigned)first, (unsigned)end, op, weights,
	 most);
}

INLINE void attend_rows(struct query *queries, size_t count, const struct kv_tile *t, size_t first,
			size_t end, const struct op_attention *op, bool half)
{
	const size_t n = end - first, blocks = (n + LANES - 1) / LANES, vectors = blocks * count;
	const struct head_rows keys = rows_from(&t->keys, first);
	float scores[ATTEND_ROWS * QUERIES], top[QUERIES], sum[QUERIES], most[LANES];

	score(queries, count, &keys, n, op, half, scores);
	for (size_t i = n * count; i < vectors * LANES; i++)
		scores[i] = -INFINITY;
	largest_scores(scores, vectors, count, top);
	raise_tops(queries, count, t, op, top, most);
	exponentials(scores, blocks, count, top, sum);
	for (size_t h = 0; h < count; h++)
		queries[h].sum += sum[h];
	add_tile(queries, count, t, first, end, op, half, (struct weights){ scores, count, 1 },
		 most);
}

/* Scores that are laid out [query][ATTEND_ROWS]. */
INLINE void attend_scores(struct query *queries, size_t count, const struct kv_tile *t,
			  size_t first, size_t end, const struct op_attention *op, bool half,
			  float *scores)
{
	const size_t rows = round_up(end, TILE_ROWS);
	float top[QUERIES], most[LANES], sum;

	for (size_t h = 0; h < count; h++) {
		float *s = scores + h * ATTEND_ROWS;

		for (size_t i = 0; i < first; i++)
			s[i] = -INFINITY;
		for (size_t i = end; i < rows; i++)
			s[i] = -INFINITY;
		largest_scores(s, rows / LANES, 1, &top[h]);
	}
	raise_tops(queries, count, t, op, top, most);
	for (size_t h = 0; h < count; h++) {
		exponentials(scores + h * ATTEND_ROWS, rows / LANES, 1, &top[h], &sum);
		queries[h].sum += sum;
	}
	add_tile(queries, count, t, first, end, op, half,
		 (struct weights){ scores + first, 1, ATTEND_ROWS }, most);
}

INLINE void attend(struct query *queries, size_t count, const struct kv_tile *t, size_t first,
		   size_t end, const struct op_attention *op)
{
	const bool half = HAVE_HALVES && t->value_kind == TILE_HALVES;
	float scores[QUERIES * ATTEND_ROWS];

	switch (t->kind) {
	case TILE_COLUMNS:
		score_columns(queries, count, (const float *)t->keys.at,
			      (end + TILE_ROWS - 1) / TILE_ROWS, op, scores);
		attend_scores(queries, count, t, first, end, op, false, scores);
		break;
	case TILE_CODES:
		ISA_NAME(cpu_score_codes)
		(queries, (unsigned)count, &t->key_codes, (unsigned)first, (unsigned)end, op,
		 scores);
		if (half)
			attend_scores(queries, count, t, first, end, op, true, scores);
		else
			attend_scores(queries, count, t, first, end, op, false, scores);
		break;
	case TILE_HALVES:
		if (HAVE_HALVES)
			attend_rows(queries, count, t, first, end, op, true);
		break;
	case TILE_FLOATS:
		attend_rows(queries, count, t, first, end, op, false);
		break;
	}
}

void ISA_NAME(cpu_attend)(struct query *queries, unsigned count, const struct kv_tile *t,
			  unsigned first, unsigned end, const struct op_attention *op)
{
	switch (count) {
	case 1:
		attend(queries, 1, t, first, end, op);
		break;
	case 2:
		attend(queries, 2, t, first, end, op);
		break;
	case 4:
		attend(queries, 4, t, first, end, op);
		break;
	default:
		attend(queries, QUERIES, t, first, end, op);
	}
}

void ISA_NAME(cpu_columns)(const float *rows, size_t size, float *columns)
{
	const size_t floats = TRANSPOSED / sizeof(float);
	size_t c = 0;

	for (; c + floats <= size; c += floats)
		transpose_dwords((const int8_t *)(rows + c), size * sizeof(float), 0,
				 (uint8_t *)(columns + c * TILE_ROWS));
	for (; c < size; c++)
		for (size_t r = 0; r < TILE_ROWS; r++)
			columns[c * TILE_ROWS + r] = rows[r * size + c];
}
