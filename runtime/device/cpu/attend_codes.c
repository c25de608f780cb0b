// SPDX-License-Identifier: MIT
/*
 * Attention over keys and values of quantized formats as codes: see cpu_score_codes() and
 * cpu_add_codes() in kernels.h.
 *
 * Both are products of four 8-bit codes in each lane with four 16-bit ones that all lanes share: of
 * keys, whose lanes are rows, with queries, and of values, whose lanes are columns, with weights.
 */
#include "device/cpu/decode.h"
#include "device/cpu/softmax.h"
#include "device/cpu/transpose.h"

typedef int16_t shorts __attribute__((vector_size(4 * LANES)));
typedef int16_t half_shorts __attribute__((vector_size(2 * LANES)));
typedef half_shorts shorts_unaligned __attribute__((aligned(2), may_alias));
typedef shorts shorts_in_bytes __attribute__((aligned(4 * LANES), may_alias));

enum {
	TOGETHER = LANES == 16 ? 8 : 4, /* queries whose sums of two vectors stay in registers */
	BLOCK_FOURS = CODE_BLOCK / 4,
	FOURS_BYTES = TILE_ROWS * 4, /* of a block of rows of keys */
	ASK = 128,
};

/* sum + the products of both pairs of each lane */
INLINE ivec add_pairs(ivec sum, shorts a, shorts b)
{
#if HAVE_VNNI512
	return (ivec)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif HAVE_VNNI256
	return (ivec)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)b);
#elif defined(__AVX2__)
	return sum + (ivec)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
	return sum + (ivec)_mm_madd_epi16((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)
	return sum +
	       (ivec)vpaddq_s32(vmull_s16(vget_low_s16((int16x8_t)a), vget_low_s16((int16x8_t)b)),
				vmull_high_s16((int16x8_t)a, (int16x8_t)b));
#else
	for (int i = 0; i < LANES; i++)
		sum[i] += a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
	return sum;
#endif
}

/* Two 16-bit codes in every lane. */
INLINE shorts all_pairs(const int16_t *x)
{
	return (shorts)((int32_t)load_u32(x) - (ivec){ 0 });
}

/*
 * sums[query][vector] of @fours, at @step from one another; @x: a query's 16-bit codes, which are
 * those of bytes 0, 2, 1, 3; @x_step from one query to the next.  ASK bytes from @ask on, if it
 * isn't 0, are asked for with each.
 */
INLINE void add_fours(const int8_t *const at[2], size_t step, size_t fours, const int16_t *x,
		      size_t x_step, size_t count, uintptr_t ask, ivec *sums)
{
	for (size_t i = 0; i < fours; i++) {
		shorts even[2], odd[2];

		for (size_t line = 0; ask && line < ASK; line += 64)
			__builtin_prefetch((const void *)(ask + i * ASK + line));
		for (size_t v = 0; v < 2; v++) {
			const shorts w = *(const shorts_in_bytes *)(const void *)(at[v] + i * step);

			even[v] = w << 8 >> 8;
			odd[v] = w >> 8;
		}
		for (size_t h = 0; h < count; h++) {
			const int16_t *codes = x + h * x_step + 4 * i;
			const shorts first = all_pairs(codes), second = all_pairs(codes + 2);

			for (size_t v = 0; v < 2; v++) {
				sums[2 * h + v] = add_pairs(sums[2 * h + v], even[v], first);
				sums[2 * h + v] = add_pairs(sums[2 * h + v], odd[v], second);
			}
		}
	}
}

/* Where the next so many fours ask; 0: nowhere, all has been asked for. */
INLINE uintptr_t next_ask(const struct code_tile *t, size_t asked)
{
	return t->ahead && asked < t->ahead_bytes ? t->ahead + asked : 0;
}

/* What products were too few for. */
INLINE void ask_for_rest(const struct code_tile *t, size_t asked)
{
	for (; t->ahead && asked < t->ahead_bytes; asked += 64)
		__builtin_prefetch((const void *)(t->ahead + asked));
}

/* Scores of two vectors of rows, of which the first begins with @row. */
INLINE void score_part(const struct query *queries, size_t count, const struct code_tile *t,
		       size_t row, const struct op_attention *op, size_t *asked, float *scores)
{
	const size_t width = cpu_code_width(op->key_size), x_step = count > 1 ? width : 0;
	vec sum[2 * TOGETHER] = { 0 };
	const int8_t *at[2];

	for (size_t v = 0; v < 2; v++) {
		const size_t r = row + v * LANES;

		at[v] = t->codes + r / TILE_ROWS * TILE_ROWS * width + r % TILE_ROWS * 4;
	}
	for (size_t b = 0; b < width / CODE_BLOCK; b++) {
		ivec part[2 * TOGETHER] = { 0 };

		add_fours(at, FOURS_BYTES, BLOCK_FOURS, queries->codes + b * CODE_BLOCK, x_step,
			  count, next_ask(t, *asked), part);
		*asked += BLOCK_FOURS * ASK;
		for (size_t v = 0; v < 2; v++) {
			const vec scale = load(t->scales + b * ATTEND_ROWS + row + v * LANES);

			for (size_t h = 0; h < count; h++)
				sum[2 * h + v] +=
					scale * __builtin_convertvector(part[2 * h + v], vec);
			at[v] += BLOCK_FOURS * FOURS_BYTES;
		}
	}
	for (size_t h = 0; h < count; h++)
		for (size_t v = 0; v < 2; v++)
			store(scores + h * ATTEND_ROWS + v * LANES,
			      scaled(op, queries[h].step * sum[2 * h + v]));
}

INLINE void score(const struct query *queries, size_t count, const struct code_tile *t,
		  size_t first, size_t end, const struct op_attention *op, float *scores)
{
	const size_t most = MIN(count, (size_t)TOGETHER), rows = 2 * LANES;
	size_t asked = 0;

	for (size_t row = first / rows * rows; row < end; row += rows)
		for (size_t h = 0; h < count; h += most)
			score_part(queries + h, most, t, row, op, &asked,
				   scores + h * ATTEND_ROWS + row);
	ask_for_rest(t, asked);
}

void ISA_NAME(cpu_score_codes)(const struct query *queries, unsigned count,
			       const struct code_tile *t, unsigned first, unsigned end,
			       const struct op_attention *op, float *scores)
{
	switch (count) {
	case 1:
		score(queries, 1, t, first, end, op, scores);
		break;
	case 2:
		score(queries, 2, t, first, end, op, scores);
		break;
	case 4:
		score(queries, 4, t, first, end, op, scores);
		break;
	default:
		score(queries, QUERIES, t, first, end, op, scores);
	}
}

/* Nearest 16-bit codes, of up to CODE_RANGE; whatever isn't a number becomes any. */
INLINE void store_rounded(int16_t *to, vec x)
{
	/* 1.5 * 2^23: a sum's last bits are the integer, in two's complement */
	const ivec bits = (ivec)(x + 12582912.0f);

	*(shorts_unaligned *)(void *)to = __builtin_convertvector(bits, half_shorts);
}

/* Values [c, c + LANES) of @size that there are. */
INLINE void add_output(float *out, size_t c, size_t size, vec more)
{
	float part[LANES];

	if (c + LANES <= size) {
		store(out + c, load(out + c) + more);
		return;
	}
	store(part, more);
	for (size_t i = 0; c + i < size; i++)
		out[c + i] += part[i];
}

/* Columns of block @b of the values, which are products with @codes times @step. */
INLINE void add_block(struct query *queries, size_t count, const struct code_tile *t, size_t b,
		      size_t first, size_t end, size_t size, const int16_t *codes,
		      const float *step, size_t *asked)
{
	const size_t width = cpu_code_width(size), row = first / 4 * 4, fours = (end - row + 3) / 4;

	for (size_t c = b * CODE_BLOCK; c < (b + 1) * CODE_BLOCK; c += 2 * LANES) {
		const int8_t *from = t->codes + row * width + 4 * c;
		const int8_t *const at[2] = { from, from + 4 * LANES };
		ivec sum[2 * TOGETHER] = { 0 };

		add_fours(at, 4 * width, fours, codes + row, ATTEND_ROWS, count,
			  next_ask(t, *asked), sum);
		*asked += fours * ASK;
		for (size_t h = 0; h < count; h++)
			for (size_t v = 0; v < 2; v++)
				add_output(queries[h].out, c + v * LANES, size,
					   step[h] * __builtin_convertvector(sum[2 * h + v], vec));
	}
}

INLINE void add_part(struct query *queries, size_t count, const struct code_tile *t, size_t first,
		     size_t end, size_t size, const float *weights, const float *most,
		     size_t *asked)
{
	const size_t blocks = cpu_code_width(size) / CODE_BLOCK;
	const size_t begin = first / TILE_ROWS * TILE_ROWS;
	int16_t codes[TOGETHER * ATTEND_ROWS];
	float inverse[TOGETHER], step[TOGETHER];

	/* weights are at most 1, and the sum of all is at least that */
	for (size_t h = 0; h < count; h++)
		inverse[h] = most[h] < 1e-30f ? 0 : 1 / most[h];
	for (size_t b = 0; b < blocks; b++) {
		for (size_t h = 0; h < count; h++) {
			step[h] = inverse[h] == 0 ? 0 : most[h] * (t->most[b] / CODE_RANGE);
			for (size_t r = begin; r < end; r += LANES) {
				const vec weight = load(weights + h * ATTEND_ROWS + r);
				const vec scale = load(t->scales + b * ATTEND_ROWS + r);

				store_rounded(codes + h * ATTEND_ROWS + r,
					      weight * inverse[h] * scale);
			}
		}
		add_block(queries, count, t, b, first, end, size, codes, step, asked);
	}
}

INLINE void add(struct query *queries, size_t count, const struct code_tile *t, size_t first,
		size_t end, const struct op_attention *op, const float *weights, const float *most)
{
	const size_t together = MIN(count, (size_t)TOGETHER);
	size_t asked = 0;

	for (size_t h = 0; h < count; h += together)
		add_part(queries + h, together, t, first, end, op->value_size,
			 weights + h * ATTEND_ROWS, most + h, &asked);
	ask_for_rest(t, asked);
}

void ISA_NAME(cpu_add_codes)(struct query *queries, unsigned count, const struct code_tile *t,
			     unsigned first, unsigned end, const struct op_attention *op,
			     const float *weights, const float *most)
{
	switch (count) {
	case 1:
		add(queries, 1, t, first, end, op, weights, most);
		break;
	case 2:
		add(queries, 2, t, first, end, op, weights, most);
		break;
	case 4:
		add(queries, 4, t, first, end, op, weights, most);
		break;
	default:
		add(queries, QUERIES, t, first, end, op, weights, most);
	}
}

void ISA_NAME(cpu_round_query)(struct query *q, size_t size, int16_t *codes)
{
	static const float smallest = 1e-30f; /* CODE_RANGE / that is finite */
	const size_t width = cpu_code_width(size);
	ivec most = { 0 };
	int32_t lanes[LANES], largest = 0;
	size_t c = 0;

	/* as integers magnitudes compare alike, and what isn't a number is the largest */
	for (; c + LANES <= size; c += LANES) {
		const ivec magnitude = (ivec)load(q->q + c) & 0x7fffffff, more = magnitude > most;

		most = (magnitude & more) | (most & ~more);
	}
	memcpy(lanes, &most, sizeof(lanes));
	for (size_t i = 0; i < LANES; i++)
		largest = MAX(largest, lanes[i]);
	for (; c < size; c++)
		largest = MAX(largest, (int32_t)(bits_of_float(q->q[c]) & 0x7fffffff));

	const float top = float_of_bits((uint32_t)largest);
	const float inverse = top >= smallest ? CODE_RANGE / top : 0;

	q->codes = codes;
	q->step = top < smallest ? 0 : top / CODE_RANGE;
	for (c = 0; c + LANES <= size; c += LANES)
		store_rounded(codes + c, inverse * load(q->q + c));
	for (; c < width; c += LANES) {
		float part[LANES] = { 0 };

		for (size_t i = 0; c + i < size && i < LANES; i++)
			part[i] = q->q[c + i];
		store_rounded(codes + c, inverse * load(part));
	}
	/* as the bytes of a lane are taken: 0, 2, 1, 3 */
	for (c = 0; c < width; c += 4) {
		const int16_t second = codes[c + 1];

		codes[c + 1] = codes[c + 2];
		codes[c + 2] = second;
	}
}

/* Four rows of @width codes to columns of four, rows in the order 0, 2, 1, 3. */
INLINE void interleave(const int8_t *rows, size_t width, int8_t *to)
{
#if defined(__AVX2__)
	for (size_t c = 0; c < width; c += 32, to += 128) {
		const __m256i a = _mm256_load_si256((const void *)(rows + c));
		const __m256i b = _mm256_load_si256((const void *)(rows + width + c));
		const __m256i d = _mm256_load_si256((const void *)(rows + 2 * width + c));
		const __m256i e = _mm256_load_si256((const void *)(rows + 3 * width + c));
		const __m256i low[2] = { _mm256_unpacklo_epi8(a, d), _mm256_unpackhi_epi8(a, d) };
		const __m256i high[2] = { _mm256_unpacklo_epi8(b, e), _mm256_unpackhi_epi8(b, e) };
		__m256i four[4]; /* of columns 4 i on, and of 16 + 4 i on */

		for (int i = 0; i < 2; i++) {
			four[2 * i] = _mm256_unpacklo_epi16(low[i], high[i]);
			four[2 * i + 1] = _mm256_unpackhi_epi16(low[i], high[i]);
		}
		for (int i = 0; i < 2; i++) {
			_mm256_store_si256((void *)(to + 32 * i),
					   _mm256_permute2x128_si256(four[2 * i], four[2 * i + 1],
								     0x20));
			_mm256_store_si256((void *)(to + 64 + 32 * i),
					   _mm256_permute2x128_si256(four[2 * i], four[2 * i + 1],
								     0x31));
		}
	}
#else
	for (size_t c = 0; c < width; c++, to += 4) {
		to[0] = rows[c];
		to[1] = rows[2 * width + c];
		to[2] = rows[width + c];
		to[3] = rows[3 * width + c];
	}
#endif
}

/* What TILE_ROWS rows are made from: codes and scales, row by row, zeros where there are none. */
struct unpacked {
	int8_t *codes;
	float *scales;
};

/*
 * Rows [row, row + TILE_ROWS) of @count that there are; asks for what lies ahead of them where a
 * tile is in two pages.
 */
static void unpack(const struct stoker_format *f, const struct head_rows *rows, size_t row,
		   size_t count, size_t width, const struct unpacked *to)
{
	const size_t blocks = width / CODE_BLOCK, end = MAX(MIN(row + TILE_ROWS, count), row);
	/* rows aren't one after another where values are the first part of keys */
	const bool apart = rows->stride != blocks * f->block_bytes;

	for (size_t r = row, next; r < end; r = next) {
		const bool behind = r >= rows->split;
		const uintptr_t at = row_at(rows, r), ahead = rows->ahead[behind];

		next = apart ? r + 1 : behind ? end : MIN(end, rows->split);
		for (size_t i = 0; ahead && rows->split < count && i < (next - r) * rows->stride;
		     i += 64)
			__builtin_prefetch((const void *)(at + ahead + i));
		f->unpack[THIS_ISA]((const uint8_t *)at, (next - r) * blocks,
				    to->codes + (r - row) * width, to->scales + (r - row) * blocks,
				    NULL);
	}
	if (end - row < TILE_ROWS) {
		memset(to->codes + (end - row) * width, 0, (TILE_ROWS - (end - row)) * width);
		memset(to->scales + (end - row) * blocks, 0,
		       (TILE_ROWS - (end - row)) * blocks * sizeof(float));
	}
}

/* Scales as parts of the largest, times CODE_RANGE. */
static void relate(float *scales, size_t rows, float *most)
{
	vec best = { 0 };

	for (size_t r = 0; r < rows; r += LANES)
		best = larger((vec)((ivec)load(scales + r) & 0x7fffffff), best);
	*most = largest_of(best);
	for (size_t r = 0; r < rows; r += LANES)
		store(scales + r, load(scales + r) * (*most > 0 ? CODE_RANGE / *most : 0));
}

bool ISA_NAME(cpu_pack_codes)(const struct stoker_format *f, const struct head_rows *rows,
			      size_t count, size_t size, bool values, void *room,
			      struct code_tile *t)
{
	const size_t width = cpu_code_width(size), blocks = width / CODE_BLOCK;
	const size_t end = round_up(count, 2 * TILE_ROWS); /* scores are made of so many */
	int8_t *codes = room;
	float *scales = (float *)(void *)(codes + ATTEND_ROWS * width + TILE_ROWS * 64);
	float *most = scales + ATTEND_ROWS * blocks;
	struct unpacked part = {
		.codes = (int8_t *)scales + round_up((ATTEND_ROWS + 1) * blocks * sizeof(float), 64)
	};
	vec broken = { 0 };

	part.scales = (float *)(void *)(part.codes + round_up(TILE_ROWS * width + 64, 64));
	for (size_t row = 0; row < end; row += TILE_ROWS) {
		unpack(f, rows, row, count, width, &part);
		for (size_t b = 0; b < blocks; b++)
			for (size_t r = 0; r < TILE_ROWS; r++) {
				scales[b * ATTEND_ROWS + row + r] = part.scales[r * blocks + b];
			}
		for (size_t r = 0; values && r < TILE_ROWS; r += 4)
			interleave(part.codes + r * width, width, codes + (row + r) * width);
		for (size_t c = 0; !values && c < width; c += TRANSPOSED)
			transpose_dwords(part.codes + c, width, 0,
					 (uint8_t *)codes + row * width + c * TILE_ROWS);
	}
	for (size_t b = 0; b < blocks; b++)
		for (size_t r = 0; r < end; r += LANES)
			broken += load(scales + b * ATTEND_ROWS + r) * 0;
	if (any_of(broken != 0))
		return false;
	for (size_t b = 0; values && b < blocks; b++)
		relate(scales + b * ATTEND_ROWS, end, &most[b]);
	*t = (struct code_tile){ .codes = codes,
				 .scales = scales,
				 .most = values ? most : NULL,
				 .ahead = rows->ahead[0] && rows->split >= count
						  ? rows->at + rows->ahead[0]
						  : 0,
				 .ahead_bytes = count * rows->stride };
	return true;
}
