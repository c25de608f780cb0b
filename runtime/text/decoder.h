/* SPDX-License-Identifier: MIT */
/* What generation needs of a decoder beyond the public API. */
#ifndef STOKER_TEXT_DECODER_H
#define STOKER_TEXT_DECODER_H

#include "base/base.h"
#include "stoker/decoder.h"

/* For several calls without another user between them: false when there is one. */
bool decoder_begin(struct stoker_decoder *decoder);
/* Releases it when that was asked for meanwhile. */
void decoder_end(struct stoker_decoder *decoder);
/* As the public functions, between the two. */
int decoder_push(struct stoker_decoder *decoder, uint32_t token, const char **utf8, size_t *bytes);
void decoder_flush(struct stoker_decoder *decoder, const char **utf8, size_t *bytes);

/* Whether a stop string has come up. */
bool decoder_stopped(const struct stoker_decoder *decoder);
const struct stoker_vocabulary *decoder_vocabulary(const struct stoker_decoder *decoder);

#endif
