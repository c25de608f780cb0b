/* SPDX-License-Identifier: MIT */
/*
 * stoker/driver.h - the kernel module, where it is loaded
 *
 * Nothing needs it: io_uring does the same reads.  The module's own interface is linux/stoker.h.
 */
#ifndef STOKER_DRIVER_H
#define STOKER_DRIVER_H

#include <stdint.h>

#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STOKER_DRIVER_PATH "/dev/stoker"

/**
 * stoker_driver_arena() - pinned memory of the module, as a dma-buf
 * @bytes: at least so many
 * @fd: receives a descriptor, close-on-exec; close it.  The memory lives until the last descriptor,
 *	mapping and importer of it are gone
 * @err: may be NULL
 *
 * For other APIs to import; stoker_device_accepts() tells whether a device does.
 *
 * Return: 0, -ENOTSUP without the module (or the right to use it), -ENOMEM, -EMFILE.
 */
STOKER_API int stoker_driver_arena(uint64_t bytes, int *fd, struct stoker_error *err);

#ifdef __cplusplus
}
#endif

#endif
