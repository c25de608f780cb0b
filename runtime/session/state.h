/* SPDX-License-Identifier: MIT */
/*
 * States of sequences as they are saved, see stoker/state.h.
 *
 * A head; the tokens; a block for each page; what recurrent layers know, and what they knew at each
 * checkpoint.  Behind each is its CRC-32C.  A page's block has for each layer the keys and the
 * values of the positions that are in use: as they are in memory where nothing is between them, but
 * without a trace of how a session lays out its pages.  Layers with windows are left out of pages
 * before head.window_page, which a ring doesn't have any more.
 */
#ifndef STOKER_SESSION_STATE_H
#define STOKER_SESSION_STATE_H

#include "session/step.h"
#include "stoker/state.h"

enum { STATE_VERSION = 3, STATE_BYTE_ORDER = 0x01020304, STATE_CHUNK_BYTES = 1 << 20 };
#define STATE_MAGIC "stoker-s"

struct state_head {
	char magic[8];
	uint32_t version, byte_order;
	uint64_t model[2], rotation; /* gguf_identity(); how keys are rotated */
	uint32_t keys, values;	     /* enum stoker_kv_format */
	uint32_t page_rows, layers;
	uint32_t position, window_page;
	uint64_t row_bytes, window_row_bytes; /* of a position: layers without windows, and with */
	uint64_t slot_bytes;
	uint32_t checkpoint_count;
	uint32_t checkpoints[CHECKPOINTS_EACH]; /* their positions, ascending; 0 behind them */
	uint32_t shifted, shifted_from;		/* see struct sequence */
	uint32_t crc;				/* of what is before it */
};
static_assert(sizeof(struct state_head) == 168, "without gaps");

/* Somewhere in device memory. */
struct state_part {
	stoker_address at;
	uint64_t bytes;
};

/* While one is saved or restored. */
struct state_stream {
	struct step *step;
	uint8_t *buffer;	  /* of STATE_CHUNK_BYTES */
	struct state_part *parts; /* of a page */
	uint32_t crc;
	uint64_t done; /* bytes */
	stoker_state_write write;
	stoker_state_read read;
	void *user;
};

int state_begin(struct state_stream *st, struct step *s, struct stoker_error *err);
void state_end(struct state_stream *st);
/* All that doesn't depend on what a sequence holds. */
int state_describe(struct step *s, struct state_head *h, struct stoker_error *err);
/* Where positions of a page are that are in use, one behind the other in the state. */
size_t state_list_parts(struct state_stream *st, const struct sequence *q,
			const struct state_head *h, uint32_t page);
uint32_t state_pages(const struct state_head *h);
uint64_t state_bytes(const struct state_head *h);

/* See stoker_session_save() and stoker_session_restore(); @q isn't used by anybody else. */
int sequence_save(struct step *s, struct sequence *q, stoker_state_write write, void *user,
		  struct stoker_error *err);
int sequence_restore(struct step *s, struct sequence *q, stoker_state_read read, void *user,
		     uint64_t bytes, struct stoker_error *err);

#endif
