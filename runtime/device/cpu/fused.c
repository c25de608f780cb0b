// SPDX-License-Identifier: MIT
/* Products with one activation row that unpack in registers, for decoding: see fused_gemv_fn. */
#include "device/cpu/kernels.h"
#include "device/cpu/vectors.h"

#if defined(__AVX2__)
#define GEMV(name)                                                               \
	static void gemv_##name(const uint8_t *w, size_t row_bytes, size_t rows, \
				const struct q8_rows *x, size_t row, float *out, void *scratch)

/* Eight 6-bit scales and eight minima of a block as bytes, the scales first. */
INLINE __m128i kquant_bytes(const uint8_t *w)
{
	/* dwords a, b, c: scales a & 63, then c's low nibbles under a's high bits; so with b */
	const __m128i abc = _mm_loadu_si128((const void *)w);
	const __m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(abc, _MM_SHUFFLE(3, 2, 3, 1)),
					   _mm_set_epi32(4, 0, 0, 0));
	const __m128i high = _mm_srli_epi32(_mm_shuffle_epi32(abc, _MM_SHUFFLE(2, 2, 1, 1)), 2);

	return _mm_or_si128(
		_mm_and_si128(low, _mm_set_epi32(0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f)),
		_mm_and_si128(high, _mm_set_epi32(0x30303030, 0, 0x30303030, 0)));
}

#if HAVE_VNNI512
#include "device/cpu/fused_avx512.h"
#else
#include "device/cpu/fused_avx2.h"
#endif

fused_gemv_fn *ISA_NAME(cpu_fused_gemv)(const struct stoker_format *format)
{
	switch (format->id) {
	case 2:
		return gemv_q4_0;
	case 8:
		return gemv_q8_0;
	case 12:
		return gemv_q4_k;
	case 13:
		return gemv_q5_k;
	case 14:
		return gemv_q6_k;
	case 20:
		return gemv_iq4_nl;
	case 23:
		return gemv_iq4_xs;
	case 39:
		return gemv_mxfp4;
	default:
		return NULL;
	}
}
#else
fused_gemv_fn *ISA_NAME(cpu_fused_gemv)(const struct stoker_format *format)
{
	(void)format;
	return NULL;
}
#endif
