// SPDX-License-Identifier: MIT
/* F32, F16 and BF16: formats without blocks. */
#include "quant/format.h"

void ISA_NAME(widen_f32)(const uint8_t *src, size_t n, float *dst)
{
	memcpy(dst, src, n * sizeof(float));
}

void ISA_NAME(widen_f16)(const uint8_t *src, size_t n, float *dst)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = f16_to_f32(load_u16(src + 2 * i));
}

void ISA_NAME(widen_bf16)(const uint8_t *src, size_t n, float *dst)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = bf16_to_f32(load_u16(src + 2 * i));
}
