/* SPDX-License-Identifier: MIT */
/*
 * Instruction sets chosen at run time.  Files with hot loops are compiled once for each; ISA is the
 * suffix of that build, and ISA_NAME() gives its symbols their names.
 */
#ifndef STOKER_ISA_H
#define STOKER_ISA_H

#include <stdbool.h>

/* STOKER_FUZZING builds without a choice. */
#if defined(__x86_64__) && !defined(STOKER_FUZZING)
#define STOKER_X86 1
#elif defined(__aarch64__) && !defined(STOKER_FUZZING)
#define STOKER_ARM 1
#endif

enum stoker_isa {
	STOKER_ISA_SCALAR, /* what the ABI guarantees; on AArch64 that includes NEON */
#if STOKER_X86
	STOKER_ISA_AVX2,    /* AVX2, FMA, F16C */
	STOKER_ISA_AVXVNNI, /* and products of 8-bit codes in 256 bits */
	STOKER_ISA_AVX512,  /* AVX-512 F, BW, DQ, VL, VNNI; not all that have it have the one before
			     */
#elif STOKER_ARM
	STOKER_ISA_DOTPROD, /* SDOT, UDOT */
#endif
	STOKER_ISA_COUNT
};

/* Whether this CPU and kernel have it. */
bool stoker_isa_supported(enum stoker_isa isa);
/* Whether this CPU multiplies pairs of BF16 in 512 bits, which not all with AVX-512 do. */
bool stoker_has_bfloat16(void);
/*
 * stoker_isa_detect() - the best set that is supported; STOKER_ISA=scalar|avx2|avxvnni|avx512|
 * dotprod in the environment chooses another one of those.
 */
enum stoker_isa stoker_isa_detect(void);
const char *stoker_isa_name(enum stoker_isa isa);

#ifndef ISA
#define ISA scalar
#endif
#define ISA_PASTE2(a, b) a##_##b
#define ISA_PASTE(a, b) ISA_PASTE2(a, b)
#define ISA_NAME(name) ISA_PASTE(name, ISA)

/* One initialiser a set, in the order of the enum. */
#if STOKER_X86
#define ISA_EACH(name)                                                    \
	{                                                                 \
		name##_scalar, name##_avx2, name##_avxvnni, name##_avx512 \
	}
#define ISA_DECLARE(type, name, ...)      \
	type name##_scalar(__VA_ARGS__);  \
	type name##_avx2(__VA_ARGS__);    \
	type name##_avxvnni(__VA_ARGS__); \
	type name##_avx512(__VA_ARGS__)
#elif STOKER_ARM
#define ISA_EACH(name)                        \
	{                                     \
		name##_scalar, name##_dotprod \
	}
#define ISA_DECLARE(type, name, ...)     \
	type name##_scalar(__VA_ARGS__); \
	type name##_dotprod(__VA_ARGS__)
#else
#define ISA_EACH(name)        \
	{                     \
		name##_scalar \
	}
#define ISA_DECLARE(type, name, ...) type name##_scalar(__VA_ARGS__)
#endif

#endif
