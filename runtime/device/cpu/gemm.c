// SPDX-License-Identifier: MIT
/* Products of weights with many rows, by tiles, and with one: see kernels.h. */
#include "device/cpu/kernels.h"
#include "device/cpu/tile_dot.h"
#include "device/cpu/transpose.h"

#define ISA_ENUM_scalar STOKER_ISA_SCALAR
#define ISA_ENUM_avx2 STOKER_ISA_AVX2
#define ISA_ENUM_avxvnni STOKER_ISA_AVXVNNI
#define ISA_ENUM_avx512 STOKER_ISA_AVX512
#define ISA_ENUM_dotprod STOKER_ISA_DOTPROD
#define ISA_ENUM_NAME2(isa) ISA_ENUM_##isa
#define ISA_ENUM_NAME(isa) ISA_ENUM_NAME2(isa)
#define THIS_ISA ISA_ENUM_NAME(ISA)

/* A tile of quantized weights in scratch memory. */
struct tile {
	uint8_t *codes;	       /* [k / 4][16][4] */
	float *scale, *offset; /* [k / group][16]; no offset: NULL */
};

static void *carve(uint8_t **at, size_t bytes)
{
	void *p = *at;

	*at += round_up(bytes, 64);
	return p;
}

static struct tile build_tile(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			      unsigned rows, size_t k, void *scratch)
{
	const int bias = tile_codes_of(f).bias;
	uint8_t *at = scratch;
	const size_t groups = k / f->group;
	int8_t *codes = carve(&at, TILE_ROWS * k + 64);
	float *scales = carve(&at, TILE_ROWS * groups * sizeof(float));
	float *offsets = carve(&at, TILE_ROWS * groups * sizeof(float));
	struct tile t = {
		.codes = carve(&at, TILE_ROWS * k),
		.scale = carve(&at, TILE_ROWS * groups * sizeof(float)),
		.offset = f->affine ? carve(&at, TILE_ROWS * groups * sizeof(float)) : NULL,
	};
	size_t c = 0;

	for (unsigned r = 0; r < rows; r++)
		f->unpack[THIS_ISA](w + r * row_bytes, k / f->block_values, codes + r * k,
				    scales + r * groups, offsets + r * groups);
	for (unsigned r = rows; r < TILE_ROWS; r++) {
		memset(codes + r * k, 0, k);
		memset(scales + r * groups, 0, groups * sizeof(float));
		memset(offsets + r * groups, 0, groups * sizeof(float));
	}
	for (; c + TRANSPOSED <= k; c += TRANSPOSED)
		transpose_dwords(codes + c, k, bias, t.codes + 16 * c);
	for (; c < k; c += 4)
		for (unsigned r = 0; r < TILE_ROWS; r++)
			for (unsigned j = 0; j < 4; j++)
				t.codes[16 * c + 4 * r + j] =
					(uint8_t)(codes[r * k + c + j] + bias);
	for (size_t g = 0; g < groups; g++)
		for (unsigned r = 0; r < TILE_ROWS; r++)
			t.scale[16 * g + r] = scales[r * groups + g];
	for (size_t g = 0; f->affine && g < groups; g++)
		for (unsigned r = 0; r < TILE_ROWS; r++)
			t.offset[16 * g + r] = offsets[r * groups + g];
	return t;
}

INLINE size_t row_of(const uint32_t *index, size_t i)
{
	return index ? index[i] : i;
}

INLINE void store_rows(float *dst, const vec *v, unsigned rows)
{
	float part[TILE_ROWS];

	for (int i = 0; i < TILE_VECTORS; i++)
		store((rows == TILE_ROWS ? dst : part) + LANES * i, v[i]);
	if (rows < TILE_ROWS)
		memcpy(dst, part, rows * sizeof(float));
}

/* acc[i] += (p[i] or 1) * numbers * x[at[i] * each], for @n activation rows. */
INLINE void add_products(vec *acc, const vec *p, const float *numbers, const float *x,
			 const size_t *at, size_t each, int n)
{
	for (int h = 0; h < TILE_VECTORS; h++) {
		const vec s = load(numbers + LANES * h);

		for (int i = 0; i < n; i++) {
			const vec y = s * x[at[i] * each];
			const int v = TILE_VECTORS * i + h;

			acc[v] += p ? p[v] * y : y;
		}
	}
}

/*
 * @n activation rows from @first on against one tile.  Inlined, the group, n and steps are
 * constant.
 */
INLINE void gemm_block(const struct tile *t, int group, bool affine, struct tile_codes c,
		       unsigned rows, const struct q8_rows *x, const struct gemm_rows *r,
		       size_t first, int n)
{
	const size_t groups = x->k / ACTIVATION_GROUP;
	const int8_t *codes[GEMM_ROWS];
	int32_t start[GEMM_ROWS];
	size_t at[GEMM_ROWS];
	vec acc[GEMM_ROWS * TILE_VECTORS] = { 0 }, p[GEMM_ROWS * TILE_VECTORS];

	for (int i = 0; i < n; i++) {
		const size_t row = row_of(r->src, first + (size_t)i);

		codes[i] = x->codes + row * x->k;
		at[i] = row * groups;
	}
	for (size_t g = 0; g < groups; g++) {
		if (group == 32) {
			for (int i = 0; i < n; i++)
				start[i] = start_of(c, x->corr32[at[i] + g]);
			tile_dots(t->codes + 512 * g, codes, 32 * g, 32, start, n, c.steps, p);
			add_products(acc, p, t->scale + 16 * g, x->d + g, at, 1, n);
			if (affine)
				add_products(acc, NULL, t->offset + 16 * g, x->xs32 + g, at, 1, n);
			continue;
		}
		for (size_t h = 2 * g; h < 2 * g + 2; h++) {
			for (int i = 0; i < n; i++)
				start[i] = start_of(c, x->corr16[2 * at[i] + h]);
			tile_dots(t->codes + 256 * h, codes, 16 * h, 16, start, n, c.steps, p);
			add_products(acc, p, t->scale + 16 * h, x->d + g, at, 1, n);
			if (affine)
				add_products(acc, NULL, t->offset + 16 * h, x->xs16 + h, at, 2, n);
		}
	}
	for (int i = 0; i < n; i++)
		store_rows(r->out + row_of(r->dst, first + (size_t)i) * r->out_stride,
			   acc + TILE_VECTORS * i, rows);
}

INLINE void gemm_all(const struct tile *t, int group, bool affine, struct tile_codes c,
		     unsigned rows, const struct q8_rows *x, const struct gemm_rows *r)
{
	enum { FEWER_ROWS = GEMM_ROWS > 4 ? 4 : 2 };
	size_t i = 0;

	for (; i + GEMM_ROWS <= r->count; i += GEMM_ROWS)
		gemm_block(t, group, affine, c, rows, x, r, i, GEMM_ROWS);
	for (; i + FEWER_ROWS <= r->count; i += FEWER_ROWS)
		gemm_block(t, group, affine, c, rows, x, r, i, FEWER_ROWS);
	for (; i < r->count; i++)
		gemm_block(t, group, affine, c, rows, x, r, i, 1);
}

INLINE void gemm_steps(const struct tile *t, unsigned group, int bias, int steps, unsigned rows,
		       const struct q8_rows *x, const struct gemm_rows *r)
{
	const struct tile_codes c = { .bias = bias, .steps = steps };

	if (group == 32 && t->offset)
		gemm_all(t, 32, true, c, rows, x, r);
	else if (group == 32)
		gemm_all(t, 32, false, c, rows, x, r);
	else if (t->offset)
		gemm_all(t, 16, true, c, rows, x, r);
	else
		gemm_all(t, 16, false, c, rows, x, r);
}

void ISA_NAME(cpu_gemm_q8)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			   unsigned rows, const struct q8_rows *x, const struct gemm_rows *r,
			   void *scratch)
{
	const struct tile t = build_tile(f, w, row_bytes, rows, x->k, scratch);
	const struct tile_codes c = tile_codes_of(f);

	switch (c.steps) {
	case 8:
		gemm_steps(&t, f->group, c.bias, 8, rows, x, r);
		break;
	case 4:
		gemm_steps(&t, f->group, c.bias, 4, rows, x, r);
		break;
	case 2:
		gemm_steps(&t, f->group, c.bias, 2, rows, x, r);
		break;
	case 1:
		gemm_steps(&t, f->group, c.bias, 1, rows, x, r);
		break;
	default:
		gemm_steps(&t, f->group, c.bias, 0, rows, x, r);
	}
}

/* Values of a row to float, in the codes' own way: exact. */
static void decode_row(const struct stoker_format *f, const uint8_t *w, size_t k, float *dst,
		       int8_t *codes, float *scales, float *offsets)
{
	if (!f->group) {
		f->widen[THIS_ISA](w, k, dst);
		return;
	}
	f->unpack[THIS_ISA](w, k / f->block_values, codes, scales, offsets);
	for (size_t g = 0; g < k / f->group; g++) {
		const float s = scales[g], o = f->affine ? offsets[g] : 0;
		float *d = dst + g * f->group;
		const int8_t *c = codes + g * f->group;

		for (unsigned i = 0; i < f->group; i++)
			d[i] = s * (float)c[i] + o;
	}
}

/* One weight row with four activation rows, so that each of its vectors is loaded once. */
INLINE void dot4(const float *w, const float *const x[4], size_t k, float out[4])
{
	vec acc[4] = { 0 };
	size_t c = 0;

	for (; c + LANES <= k; c += LANES) {
		const vec v = load(w + c);

		for (int i = 0; i < 4; i++)
			acc[i] += v * load(x[i] + c);
	}
	for (int i = 0; i < 4; i++) {
		out[i] = sum_of(acc[i]);
		for (size_t t = c; t < k; t++)
			out[i] += w[t] * x[i][t];
	}
}

void ISA_NAME(cpu_gemm_float)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			      unsigned rows, const float *x, size_t k, const struct gemm_rows *r,
			      void *scratch)
{
	uint8_t *at = scratch;
	float *row = carve(&at, k * sizeof(float));
	float *scales = carve(&at, (k / 16 + 1) * sizeof(float));
	float *offsets = carve(&at, (k / 16 + 1) * sizeof(float));
	int8_t *codes = carve(&at, k);

	for (unsigned j = 0; j < rows; j++) {
		size_t i = 0;

		decode_row(f, w + j * row_bytes, k, row, codes, scales, offsets);
		for (; i + 4 <= r->count; i += 4) {
			const float *src[4];
			float y[4];

			for (size_t n = 0; n < 4; n++)
				src[n] = x + row_of(r->src, i + n) * k;
			dot4(row, src, k, y);
			for (size_t n = 0; n < 4; n++)
				r->out[row_of(r->dst, i + n) * r->out_stride + j] = y[n];
		}
		for (; i < r->count; i++)
			r->out[row_of(r->dst, i) * r->out_stride + j] =
				dot(row, x + row_of(r->src, i) * k, k);
	}
}

/* A piece of a row at a time, so that reading goes on while it is computed. */
static float dot_pieces(const struct stoker_format *f, const uint8_t *w, const float *x, size_t k,
			float *piece)
{
	enum { PIECE = 256 };
	const size_t piece_bytes = stoker_row_bytes(f, PIECE);
	/* F32 as it lies, unless a file's offsets are odd */
	const bool floats = piece_bytes == PIECE * sizeof(float) &&
			    (uintptr_t)w % sizeof(float) == 0;
	float sum = 0;

	for (; k; w += piece_bytes, x += PIECE) {
		const size_t n = MIN(k, (size_t)PIECE);

		prefetch_ahead(w, piece_bytes);
		if (!floats)
			f->widen[THIS_ISA](w, n, piece);
		sum += dot(floats ? (const float *)(const void *)w : piece, x, n);
		k -= n;
	}
	return sum;
}

void ISA_NAME(cpu_gemv_float)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			      size_t rows, const float *x, size_t k, float *out, void *scratch)
{
	uint8_t *at = scratch;
	float *row = carve(&at, k * sizeof(float));
	float *scales = carve(&at, (k / 16 + 1) * sizeof(float));
	float *offsets = carve(&at, (k / 16 + 1) * sizeof(float));
	int8_t *codes = carve(&at, k);

	for (size_t i = 0; i < rows; i++, w += row_bytes) {
		if (!f->group) {
			out[i] = dot_pieces(f, w, x, k, row);
			continue;
		}
		prefetch_ahead(w, row_bytes);
		decode_row(f, w, k, row, codes, scales, offsets);
		out[i] = dot(row, x, k);
	}
}

/* sum over groups of combined[g] * (codes . x) for one row; combined is weight scale * d. */
#if HAVE_VNNI512
/* Codes are signed; with flipped ones the caller adds 128 * combined * sum to make up for it. */
INLINE float codes_dot(const int8_t *codes, const int8_t *x, const float *combined, size_t k,
		       int group)
{
	const __m512i flip = _mm512_set1_epi8((char)0x80);
	/* lane i of 16 belongs to group i / (group / 4) of this vector */
	const __m512i lane =
		group == 32 ? _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
			    : _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
	const int step = 64 / group;
	__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps();
	size_t c = 0;

	for (; c + 64 <= k; c += 64, combined += step) {
		const __m512i w = _mm512_xor_si512(_mm512_loadu_si512(codes + c), flip);
		const __m512i p =
			_mm512_dpbusd_epi32(_mm512_setzero_si512(), w, _mm512_loadu_si512(x + c));
		const __m512 s = _mm512_permutexvar_ps(
			lane, _mm512_castps128_ps512(
				      group == 32 ? _mm_castpd_ps(_mm_load_sd(
							    (const double *)(const void *)combined))
						  : _mm_loadu_ps(combined)));
		const __m512 f = _mm512_cvtepi32_ps(p);

		if (c & 64)
			acc1 = _mm512_fmadd_ps(f, s, acc1);
		else
			acc0 = _mm512_fmadd_ps(f, s, acc0);
	}
	float total = _mm512_reduce_add_ps(_mm512_add_ps(acc0, acc1));

	for (; c < k; c += (size_t)group, combined++) {
		int32_t sum = 0;

		for (int i = 0; i < group; i++)
			sum += (uint8_t)(codes[c + (size_t)i] ^ -128) * x[c + (size_t)i];
		total += *combined * (float)sum;
	}
	return total;
}
#elif defined(__AVX2__)
INLINE float codes_dot(const int8_t *codes, const int8_t *x, const float *combined, size_t k,
		       int group)
{
	const __m256i ones = _mm256_set1_epi16(1);
	__m256 acc = _mm256_setzero_ps();

	for (size_t c = 0; c < k; c += 32, combined += 32 / group) {
		const __m256i w = _mm256_loadu_si256((const __m256i *)(codes + c));
		const __m256i b = _mm256_loadu_si256((const __m256i *)(x + c));
		const __m256i p = _mm256_madd_epi16(
			_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(b, w)), ones);
		const __m256 s = group == 32 ? _mm256_set1_ps(combined[0])
					     : _mm256_set_m128(_mm_set1_ps(combined[1]),
							       _mm_set1_ps(combined[0]));

		acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(p), s, acc);
	}
	const __m128 half = _mm_add_ps(_mm256_castps256_ps128(acc), _mm256_extractf128_ps(acc, 1));
	const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));

	return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}
#else
INLINE float codes_dot(const int8_t *codes, const int8_t *x, const float *combined, size_t k,
		       int group)
{
	float total = 0;

	for (size_t c = 0; c < k; c += (size_t)group, combined++) {
		int32_t sum = 0;

		for (int i = 0; i < group; i++)
			sum += codes[c + (size_t)i] * x[c + (size_t)i];
		total += *combined * (float)sum;
	}
	return total;
}
#endif

INLINE void gemv_group(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
		       size_t rows, const struct q8_rows *x, size_t row, float *out, void *scratch,
		       int group)
{
	uint8_t *at = scratch;
	const size_t k = x->k, groups = k / (size_t)group, per_d = ACTIVATION_GROUP / (size_t)group;
	int8_t *codes = carve(&at, k + 64);
	float *scales = carve(&at, (groups + 16) * sizeof(float));
	float *offsets = carve(&at, (groups + 16) * sizeof(float));
	const int8_t *xc = x->codes + row * k;
	const float *d = x->d + row * (k / ACTIVATION_GROUP);
	const float *xs = group == 32 ? x->xs32 + row * groups : x->xs16 + row * groups;

	for (size_t i = 0; i < rows; i++) {
		float total = 0;

		prefetch_ahead(w + i * row_bytes, row_bytes);
		f->unpack[THIS_ISA](w + i * row_bytes, k / f->block_values, codes, scales, offsets);
		if (f->affine)
			total += dot(offsets, xs, groups);
#if HAVE_VNNI512
		total -= 128 * dot(scales, xs, groups);
#endif
		for (size_t g = 0; g < groups; g++)
			scales[g] *= d[g / per_d];
		out[i] = total + codes_dot(codes, xc, scales, k, group);
	}
}

void ISA_NAME(cpu_gemv_q8)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			   size_t rows, const struct q8_rows *x, size_t row, float *out,
			   void *scratch)
{
	fused_gemv_fn *fused = ISA_NAME(cpu_fused_gemv)(f);

	if (fused)
		fused(w, row_bytes, rows, x, row, out, scratch);
	else if (f->group == 32)
		gemv_group(f, w, row_bytes, rows, x, row, out, scratch, 32);
	else
		gemv_group(f, w, row_bytes, rows, x, row, out, scratch, 16);
}
