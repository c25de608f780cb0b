/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli's polynomial, as in iSCSI, RFC 3720): whether data is as it was written. */
#ifndef STOKER_BASE_CRC32C_H
#define STOKER_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of what @crc is of, 0 for nothing, and of @bytes behind it. */
uint32_t stoker_crc32c(uint32_t crc, const void *data, size_t bytes);
/* The same without instructions for it. */
uint32_t stoker_crc32c_plain(uint32_t crc, const void *data, size_t bytes);

#endif
