/* SPDX-License-Identifier: GPL-2.0 */
/* /dev/stoker-importer: a driver that imports a dma-buf and tells what it finds, for tests. */
#ifndef IMPORTER_H
#define IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct import - attaches, maps, looks, unmaps and detaches
 * @fd: [in] dma-buf
 * @segment_max: [in] longest scatter entry that the importer takes, 0 for no limit
 * @entries: [out] of the scatter table
 * @longest: [out] entry, in bytes
 * @bytes: [out] that the table covers
 * @sum_by_address: [out] sum of all 64-bit words, found through the entries' DMA addresses
 * @sum_by_vmap: [out] the same through a kernel mapping
 * @fill: [in] if not zero, what each word becomes then, through the kernel mapping
 */
struct import {
	__u32 fd;
	__u32 segment_max;
	__u32 entries;
	__u32 longest;
	__u64 bytes;
	__u64 sum_by_address;
	__u64 sum_by_vmap;
	__u64 fill;
};

#define IMPORTER_IMPORT _IOWR('I', 0, struct import)

/* Attaches and maps one dma-buf until the file is closed. */
#define IMPORTER_HOLD _IO('I', 1)

#endif
