// SPDX-License-Identifier: MIT
/* F32, F16 and BF16: formats without blocks. */
#include "quant/format.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

void ISA_NAME(widen_f32)(const uint8_t *src, size_t n, float *dst)
{
	memcpy(dst, src, n * sizeof(float));
}

void ISA_NAME(widen_f16)(const uint8_t *src, size_t n, float *dst)
{
	size_t i = 0;

#if defined(__AVX512F__)
	for (; i + 16 <= n; i += 16)
		_mm512_storeu_ps(dst + i,
				 _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(src + 2 * i))));
#elif defined(__F16C__)
	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(dst + i,
				 _mm256_cvtph_ps(_mm_loadu_si128((const void *)(src + 2 * i))));
#endif
	for (; i < n; i++)
		dst[i] = f16_to_f32(load_u16(src + 2 * i));
}

void ISA_NAME(widen_bf16)(const uint8_t *src, size_t n, float *dst)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = bf16_to_f32(load_u16(src + 2 * i));
}
