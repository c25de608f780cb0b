/* SPDX-License-Identifier: MIT */
/* Rows of weights to floats, for files that are compiled once an instruction set. */
#ifndef STOKER_CPU_DECODE_H
#define STOKER_CPU_DECODE_H

#include "device/cpu/kernels.h"
#include "device/cpu/vectors.h"

#define ISA_ENUM_scalar STOKER_ISA_SCALAR
#define ISA_ENUM_avx2 STOKER_ISA_AVX2
#define ISA_ENUM_avxvnni STOKER_ISA_AVXVNNI
#define ISA_ENUM_avx512 STOKER_ISA_AVX512
#define ISA_ENUM_dotprod STOKER_ISA_DOTPROD
#define ISA_ENUM_NAME2(isa) ISA_ENUM_##isa
#define ISA_ENUM_NAME(isa) ISA_ENUM_NAME2(isa)
#define THIS_ISA ISA_ENUM_NAME(ISA)

/* The next @bytes of scratch memory. */
INLINE void *carve(uint8_t **at, size_t bytes)
{
	void *p = *at;

	*at += round_up(bytes, 64);
	return p;
}

/* Values of a row to float, in the codes' own way: exact. */
INLINE void decode_row(const struct stoker_format *f, const uint8_t *w, size_t k, float *dst,
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

#endif
