/* SPDX-License-Identifier: MIT */
/* A device that can only multiply, and leaves all else to the CPU. */
#ifndef STOKER_MULTIPLY_DEVICE_H
#define STOKER_MULTIPLY_DEVICE_H

#include "device/device.h"

/* It multiplies by a plain loop, or @lends: it has its products done by the CPU, with tiles. */
int multiply_device_open(unsigned threads, bool exact, bool lends, struct stoker_device **device,
			 struct stoker_error *err);

#endif
