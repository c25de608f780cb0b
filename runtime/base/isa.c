// SPDX-License-Identifier: MIT
/* Which instruction sets this CPU has: see isa.h. */
#include "base/isa.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if STOKER_X86
#include <cpuid.h>
#elif STOKER_ARM
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static const char *const names[STOKER_ISA_COUNT] = {
#if STOKER_X86
	"scalar",
	"avx2",
	"avxvnni",
	"avx512",
#elif STOKER_ARM
	"neon",
	"dotprod",
#else
	"scalar",
#endif
};

const char *stoker_isa_name(enum stoker_isa isa)
{
	return names[isa];
}

#if STOKER_X86
/* Those for which not all compilers have names.  They are asked for once: in a virtual machine each
 * time takes tens of microseconds. */
static bool has_feature(int bit)
{
	enum { KNOWN = 1u << 31 }; /* reserved in what the CPU says */
	static _Atomic unsigned features;
	unsigned a = atomic_load_explicit(&features, memory_order_relaxed), b, c, d;

	if (!a) {
		a = __get_cpuid_count(7, 1, &a, &b, &c, &d) ? a | KNOWN : KNOWN;
		atomic_store_explicit(&features, a, memory_order_relaxed);
	}
	return a >> bit & 1;
}
#endif

bool stoker_has_bfloat16(void)
{
#if STOKER_X86
	return has_feature(5) && stoker_isa_supported(STOKER_ISA_AVX512);
#else
	return false;
#endif
}

bool stoker_isa_supported(enum stoker_isa isa)
{
#if STOKER_X86
	__builtin_cpu_init();
	/* every CPU with AVX2 has F16C */
	const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
			  __builtin_cpu_supports("bmi2");

	switch (isa) {
	case STOKER_ISA_AVX2:
		return avx2;
	case STOKER_ISA_AVXVNNI:
		return avx2 && has_feature(4);
	case STOKER_ISA_AVX512:
		return avx2 && __builtin_cpu_supports("avx512f") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
		       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
	default:
		return isa == STOKER_ISA_SCALAR;
	}
#elif STOKER_ARM
	return isa == STOKER_ISA_SCALAR || getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
	return isa == STOKER_ISA_SCALAR;
#endif
}

enum stoker_isa stoker_isa_detect(void)
{
	const char *wanted = getenv("STOKER_ISA");
	enum stoker_isa best = STOKER_ISA_SCALAR;

	for (int i = 0; i < STOKER_ISA_COUNT; i++) {
		if (!stoker_isa_supported((enum stoker_isa)i))
			continue;
		if (wanted && !strcmp(wanted, names[i]))
			return (enum stoker_isa)i;
		best = (enum stoker_isa)i;
	}
	return best;
}
