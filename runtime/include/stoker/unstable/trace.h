/* SPDX-License-Identifier: MIT */
/**
 * stoker/unstable/trace.h - which experts a model chooses.
 *
 * For the stoker program, which is built together with the library: neither installed nor exported,
 * and different whenever it has to be.
 */
#ifndef STOKER_UNSTABLE_TRACE_H
#define STOKER_UNSTABLE_TRACE_H

#include "stoker/session.h"

/**
 * stoker_session_experts() - which experts the last batch of the last call used
 * @layer: of the model
 * @row: token of the batch
 * @ids: room for struct stoker_model_info's experts_used ids, receives them best first
 *
 * Return: number of ids, 0 for a dense layer or a row that wasn't in the batch.
 */
uint32_t stoker_session_experts(const struct stoker_session *session, uint32_t layer, uint32_t row,
				uint32_t *ids);

/**
 * stoker_session_predicted() - what the router of a layer said earlier, on the input of another
 * @layer: whose router it is
 * @distance: layers before it was asked, 1 to struct stoker_session_params' predicted_layers
 *
 * Otherwise as stoker_session_experts().
 */
uint32_t stoker_session_predicted(const struct stoker_session *session, uint32_t layer,
				  uint32_t distance, uint32_t row, uint32_t *ids);

#endif
