// SPDX-License-Identifier: MIT
/*
 * Weights to tiles of rows and back: see tiles.h.
 *
 * First each block's codes are put in the order in which kernels take them, 32 values after 32, so
 * that memory is read from end to end; then the rows' blocks are interleaved.
 */
#include "device/cpu/tiles.h"

#include "device/cpu/kernels.h"

enum { MOST_BLOCK_BYTES = 256 };

/* A block in a row's order to a tile's, or back. */
typedef void reorder_fn(const uint8_t *src, uint8_t *dst);

static uint32_t dword(const uint8_t *src, int i)
{
	return load_u32(src + 4 * i);
}

static void put(uint8_t *dst, int i, uint32_t value)
{
	memcpy(dst + 4 * i, &value, sizeof(value));
}

enum { LOW4 = 0x0f0f0f0f, LOW2 = 0x03030303, LOW1 = 0x01010101 }; /* bits of each byte */
#define EACH(BYTE) (0x01010101U * (BYTE))

typedef uint32_t four __attribute__((vector_size(16)));

static inline four load_four(const uint8_t *p)
{
	four v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_four(uint8_t *p, four v)
{
	memcpy(p, &v, sizeof(v));
}

/*
 * Nibbles of 64 values, i and i + 32 in one byte, as those of 32 and 32, i and i + 16 in one; doing
 * it again undoes it.
 */
static void pair_nibbles(const uint8_t *src, uint8_t *first, uint8_t *second)
{
	const four a = load_four(src), b = load_four(src + 16);

	store_four(first, (a & LOW4) | (b & LOW4) << 4);
	store_four(second, (a >> 4 & LOW4) | (b & ~(uint32_t)LOW4));
}

/*
 * d and the scales first, then three times 32 bytes of codes, 0 to 7, of eight parts: those of
 * parts 2 n and 2 n + 1 in bits 0 to 5 of the n-th ones, and in what is left two bits of part 6,
 * two of part 7 and the third bits of both.
 */
static void reorder_q3_k(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src + 108, 2);
	memcpy(dst + 2, src + 96, 12);
	for (int at = 0; at < 32; at += 16) {
		const four h = load_four(src + at);
		const four a = load_four(src + 32 + at), b = load_four(src + 64 + at);
		uint8_t *to = dst + 14 + at;

		store_four(to, (a & EACH(0x03)) | (h << 2 & EACH(0x04)) | (a << 1 & EACH(0x18)) |
				       (h << 4 & EACH(0x20)) | (b << 2 & EACH(0xc0)));
		store_four(to + 32, (a >> 4 & EACH(0x03)) | (h & EACH(0x04)) |
					    (a >> 3 & EACH(0x18)) | (h << 2 & EACH(0x20)) |
					    (b & EACH(0xc0)));
		store_four(to + 64, (b & EACH(0x03)) | (h >> 2 & EACH(0x04)) |
					    (b << 1 & EACH(0x18)) | (h & EACH(0xe0)));
	}
}

static void restore_q3_k(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst + 108, src, 2);
	memcpy(dst + 96, src + 2, 12);
	for (int at = 0; at < 32; at += 16) {
		const uint8_t *from = src + 14 + at;
		const four a = load_four(from), b = load_four(from + 32);
		const four c = load_four(from + 64);

		store_four(dst + at, (a >> 2 & EACH(0x01)) | (a >> 4 & EACH(0x02)) |
					     (b & EACH(0x04)) | (b >> 2 & EACH(0x08)) |
					     (c << 2 & EACH(0x10)) | (c & EACH(0xe0)));
		store_four(dst + 32 + at, (a & EACH(0x03)) | (a >> 1 & EACH(0x0c)) |
						  (b << 4 & EACH(0x30)) | (b << 3 & EACH(0xc0)));
		store_four(dst + 64 + at, (c & EACH(0x03)) | (c >> 1 & EACH(0x0c)) |
						  (a >> 2 & EACH(0x30)) | (b & EACH(0xc0)));
	}
}

static void reorder_q4_k(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src, 16);
	for (int c = 0; c < 4; c++)
		pair_nibbles(src + 16 + 32 * c, dst + 16 + 32 * c, dst + 32 + 32 * c);
}

/*
 * Of 32 values 16 bytes of nibbles and one dword of fifth bits: of value 4 b + i in bit b of byte
 * i.
 */
static void reorder_q5_k(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src, 16);
	for (int c = 0; c < 4; c++)
		pair_nibbles(src + 48 + 32 * c, dst + 16 + 40 * c, dst + 36 + 40 * c);
	for (int g = 0; g < 8; g++) {
		uint32_t fifth = 0;

		for (int i = 0; i < 8; i++)
			fifth |= (dword(src + 16, i) >> g & LOW1) << i;
		put(dst + 16 + 20 * g, 4, fifth);
	}
}

static void restore_q5_k(const uint8_t *src, uint8_t *dst)
{
	uint8_t pairs[32];

	memcpy(dst, src, 16);
	for (int c = 0; c < 4; c++) {
		memcpy(pairs, src + 16 + 40 * c, 16);
		memcpy(pairs + 16, src + 36 + 40 * c, 16);
		pair_nibbles(pairs, dst + 48 + 32 * c, dst + 64 + 32 * c);
	}
	for (int i = 0; i < 8; i++) {
		uint32_t fifth = 0;

		for (int g = 0; g < 8; g++)
			fifth |= (dword(src + 16 + 20 * g, 4) >> i & LOW1) << g;
		put(dst + 16, i, fifth);
	}
}

/*
 * d, the scales; of 32 values, which are eight dwords of codes, the first six dwords, and in the
 * two bits that each byte has left those of the seventh, then of the eighth, the lowest first.
 */
static void reorder_q6_k(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src + 208, 2);
	memcpy(dst + 2, src + 192, 16);
	for (int g = 0; g < 8; g++) {
		const uint8_t *low = src + 64 * (g / 4) + 32 * (g & 1);
		const uint8_t *high = src + 128 + 32 * (g / 4);
		const int nibble = g & 2 ? 4 : 0, two = 2 * (g & 3);
		uint8_t *out = dst + 18 + 24 * g;
		const four a = (load_four(low) >> nibble & LOW4) | (load_four(high) >> two & LOW2)
									   << 4;
		const four b = (load_four(low + 16) >> nibble & LOW4) |
			       (load_four(high + 16) >> two & LOW2) << 4;
		const four lasts = { b[2], b[2], b[2], b[3] };

		store_four(out, a | (lasts << (four){ 6, 4, 2, 6 } & EACH(0xc0)));
		put(out, 4, b[0] | (b[3] << 4 & EACH(0xc0)));
		put(out, 5, b[1] | (b[3] << 2 & EACH(0xc0)));
	}
}

static void restore_q6_k(const uint8_t *src, uint8_t *dst)
{
	memset(dst, 0, 192);
	memcpy(dst + 208, src, 2);
	memcpy(dst + 192, src + 2, 16);
	for (int g = 0; g < 8; g++) {
		uint8_t *low = dst + 64 * (g / 4) + 32 * (g & 1);
		uint8_t *high = dst + 128 + 32 * (g / 4);
		const uint8_t *in = src + 18 + 24 * g;
		const int nibble = g & 2 ? 4 : 0, two = 2 * (g & 3);

		for (int i = 0; i < 8; i++) {
			const int first = i < 6 ? i : 3 * (i - 6);
			uint32_t codes = dword(in, first) & EACH(0x3f);

			if (i > 5)
				codes = (dword(in, first) >> 6 & LOW2) |
					(dword(in, first + 1) >> 4 & EACH(0x0c)) |
					(dword(in, first + 2) >> 2 & EACH(0x30));
			put(low, i, dword(low, i) | (codes & LOW4) << nibble);
			put(high, i, dword(high, i) | (codes >> 4 & LOW2) << two);
		}
	}
}

/* Exchanges the bits of each dword whose places differ in bits @a and @b, a < b, of their numbers.
 */
static inline four exchange(four v, int a, int b)
{
	static const uint32_t has[] = { 0xaaaaaaaa, 0xcccccccc, 0xf0f0f0f0, 0xff00ff00,
					0xffff0000 };
	const int by = (1 << b) - (1 << a);
	const four moved = (v >> by ^ v) & (has[a] & ~has[b]);

	return v ^ moved ^ moved << by;
}

/* Of 32 values a dword: value 4 b + i in bit b of byte i. */
static void reorder_q1_0(const uint8_t *src, uint8_t *dst)
{
	four v = exchange(exchange(load_four(src + 2), 0, 2), 1, 3);

	memcpy(dst, src, 2);
	store_four(dst + 2, exchange(exchange(v, 2, 4), 3, 4));
}

static void restore_q1_0(const uint8_t *src, uint8_t *dst)
{
	four v = exchange(exchange(load_four(src + 2), 3, 4), 2, 4);

	memcpy(dst, src, 2);
	store_four(dst + 2, exchange(exchange(v, 1, 3), 0, 2));
}

/* Of 16 values a dword: value 4 b + i in bits 2 b and 2 b + 1 of byte i. */
static void reorder_q2_0(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src, 2);
	store_four(dst + 2, exchange(exchange(load_four(src + 2), 1, 3), 2, 4));
}

/* Fifth bits of 32 values at @at as a dword like those of Q1_0. */
static void spread_fifths(uint8_t *at)
{
	const four v = exchange(exchange((four){ dword(at, 0) }, 0, 2), 1, 3);

	put(at, 0, exchange(exchange(v, 2, 4), 3, 4)[0]);
}

static void gather_fifths(uint8_t *at)
{
	const four v = exchange(exchange((four){ dword(at, 0) }, 3, 4), 2, 4);

	put(at, 0, exchange(exchange(v, 1, 3), 0, 2)[0]);
}

static void reorder_q5_0(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src, 22);
	spread_fifths(dst + 2);
}

static void restore_q5_0(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src, 22);
	gather_fifths(dst + 2);
}

static void reorder_q5_1(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src, 24);
	spread_fifths(dst + 4);
}

static void restore_q5_1(const uint8_t *src, uint8_t *dst)
{
	memcpy(dst, src, 24);
	gather_fifths(dst + 4);
}

/* Doing it again undoes it. */
#define restore_q2_0 reorder_q2_0
#define restore_q4_k reorder_q4_k

/* Of a block, once it is reordered: @count fields of @bytes, and the rest dwords. */
static const struct layout {
	uint8_t bytes, count;	       /* no bytes: there are no tiles */
	bool ended;		       /* files have the fields behind the rest */
	reorder_fn *reorder, *restore; /* NULL: as it is */
} layouts[FORMAT_IDS] = {
#define HOW_none(kernel)
#define HOW_plain(kernel)
#define HOW_ended(kernel) .ended = true
#define HOW_reordered(kernel) .reorder = reorder_##kernel, .restore = restore_##kernel
#define FORMAT(NAME, kernel, id, file_type, shader, tiles, BYTES, COUNT, ...) \
	[id] = { .bytes = BYTES, .count = COUNT, HOW_##tiles(kernel) },
#include "quant/formats.def"
};

static const struct layout *layout_of(const struct stoker_format *f)
{
	return &layouts[f->id];
}

bool cpu_has_tiles(const struct stoker_format *f)
{
	return layout_of(f)->bytes != 0;
}

size_t cpu_tile_scratch(const struct stoker_format *f, size_t k)
{
	return TILE_ROWS * stoker_row_bytes(f, k);
}

/* Copies @count fields of @bytes bytes, constant when inlined. */
static inline void spread(const uint8_t *src, size_t row_bytes, uint8_t *tile, size_t bytes,
			  size_t count)
{
	for (size_t i = 0; i < count; i++, src += bytes, tile += TILE_ROWS * bytes)
		for (size_t r = 0; r < TILE_ROWS; r++)
			memcpy(tile + r * bytes, src + r * row_bytes, bytes);
}

/* The same of dwords, four of four rows at a time. */
static void spread_dwords(const uint8_t *src, size_t row_bytes, uint8_t *tile, size_t count)
{
	size_t i = 0;

	for (; i + 4 <= count; i += 4, src += 16, tile += 4 * TILE_ROWS * 4)
		for (size_t r = 0; r < TILE_ROWS; r += 4) {
			const uint8_t *rows = src + r * row_bytes;
			const four a = load_four(rows), b = load_four(rows + row_bytes);
			const four c = load_four(rows + 2 * row_bytes);
			const four d = load_four(rows + 3 * row_bytes);
			/* dwords 0 and 1 of two rows, then 2 and 3 */
			const four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
			const four cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
			const four ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
			const four cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
			uint8_t *to = tile + 4 * r;

			store_four(to, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
			store_four(to + 64, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
			store_four(to + 128, __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5));
			store_four(to + 192, __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7));
		}
	spread(src, row_bytes, tile, 4, count - i);
}

void cpu_tile_rows(const struct stoker_format *f, uint8_t *rows, size_t count, size_t k,
		   uint8_t *scratch)
{
	const struct layout *l = layout_of(f);
	const size_t row_bytes = stoker_row_bytes(f, k), head = (size_t)l->bytes * l->count;
	const size_t fields = l->ended ? f->block_bytes - head : 0, rest = l->ended ? 0 : head;
	uint8_t *tile = rows;

	for (size_t row = 0; row < count; row += TILE_ROWS) {
		if (l->reorder)
			for (size_t b = 0; b < TILE_ROWS * row_bytes; b += f->block_bytes)
				l->reorder(tile + b, scratch + b);
		else
			memcpy(scratch, tile, TILE_ROWS * row_bytes);
		for (size_t b = 0; b < row_bytes; b += f->block_bytes) {
			if (l->bytes == 2)
				spread(scratch + b + fields, row_bytes, tile, 2, l->count);
			else
				spread(scratch + b + fields, row_bytes, tile, 1, l->count);
			spread_dwords(scratch + b + rest, row_bytes, tile + TILE_ROWS * head,
				      (f->block_bytes - head) / 4);
			tile += TILE_ROWS * f->block_bytes;
		}
	}
}

void cpu_untile_row(const struct stoker_format *f, const uint8_t *tile, unsigned row, size_t k,
		    uint8_t *dst)
{
	const struct layout *l = layout_of(f);
	const size_t head = (size_t)l->bytes * l->count;
	const size_t fields = l->ended ? f->block_bytes - head : 0;
	uint8_t block[MOST_BLOCK_BYTES];

	for (size_t v = 0; v < k; v += f->block_values, dst += f->block_bytes) {
		uint8_t *to = l->restore ? block : dst;

		for (size_t at = 0; at < head; at += l->bytes)
			memcpy(to + fields + at, tile + TILE_ROWS * at + row * l->bytes, l->bytes);
		for (size_t at = head; at < f->block_bytes; at += 4)
			memcpy(to + at - (l->ended ? head : 0), tile + TILE_ROWS * at + 4 * row, 4);
		if (l->restore)
			l->restore(block, dst);
		tile += TILE_ROWS * f->block_bytes;
	}
}
