/* SPDX-License-Identifier: MIT */
/* States in memory: what saving calls and what restoring calls. */
#ifndef STOKER_TEST_STATE_MEMORY_H
#define STOKER_TEST_STATE_MEMORY_H

#include "unit.h"

struct state_memory {
	uint8_t *data;
	size_t bytes, room, at;
};

static inline int state_memory_write(void *user, const void *data, size_t bytes)
{
	struct state_memory *m = user;

	if (m->bytes + bytes > m->room)
		return -EFBIG;
	memcpy(m->data + m->bytes, data, bytes);
	m->bytes += bytes;
	return 0;
}

static inline int state_memory_read(void *user, void *data, size_t bytes)
{
	struct state_memory *m = user;

	if (bytes > m->bytes - m->at)
		return -ENODATA;
	memcpy(data, m->data + m->at, bytes);
	m->at += bytes;
	return 0;
}

static inline struct state_memory state_memory_make(void)
{
	struct state_memory m = { .room = 64 << 20 };

	m.data = malloc(m.room);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m.data);
	return m;
}

#endif
