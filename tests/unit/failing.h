/* SPDX-License-Identifier: MIT */
/* Allocations that fail when a test wants them to: the host's, and a device's. */
#ifndef STOKER_TEST_FAILING_H
#define STOKER_TEST_FAILING_H

#include "device/device.h"

/* From now on @count allocations succeed and the one after them fails. */
void failing_after(unsigned count);
/* All succeed again.  Whether one had failed. */
bool failing_end(void);
/* The device's memory counts, too, until it is closed; one device at a time. */
void failing_device(struct stoker_device *d);

#endif
