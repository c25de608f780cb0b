/* SPDX-License-Identifier: MIT */
/* Multiplying and adding in registers and nothing else: what a device can do at most. */
#ifndef STOKER_TOOL_SPIN_H
#define STOKER_TOOL_SPIN_H

#include "base/isa.h"
#include "device/device.h"

struct spin {
	stoker_address dst; /* a float that isn't written */
	uint32_t rounds;
	bool codes; /* 8-bit ones, not floats */
};

/*
 * Called between the device's begin() and submit() like an op.  Return how many multiplications and
 * additions that makes, 0: the device can't.
 */
double spin_cpu(struct stoker_device *d, const struct spin *s);
double spin_vulkan(struct stoker_device *d, const struct spin *s);

/* @rounds times spin_products() independent products; not 0, so that they aren't left out. */
ISA_DECLARE(float, spin, bool codes, uint32_t rounds);
ISA_DECLARE(unsigned, spin_products, bool codes);

#endif
