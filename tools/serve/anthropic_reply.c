// SPDX-License-Identifier: MIT
/*
 * An answer as Anthropic's clients read it: a message of blocks, each of text, of thinking or of a
 * tool's use, told in events or as a whole.
 */
#include <string.h>

#include "serve/anthropic.h"
#include "serve/objects.h"
#include "serve/openai.h"

/* Thinking comes with a signature that its maker's servers check.  We check none, but a client may
 * take a block without one for a broken one. */
#define SIGNATURE "stoker"

static const char *stop_reason(const struct piece *end)
{
	if (end->finish == FINISH_CALLS)
		return "tool_use";
	if (end->finish == FINISH_LENGTH)
		return "max_tokens";
	return end->stop ? "stop_sequence" : "end_turn";
}

static void event(struct text *out, const char *name)
{
	text_printf(out, "event: %s\ndata: {\"type\":\"%s\"", name, name);
}

static void finish_event(struct text *out)
{
	text_puts(out, "}\n\n");
}

/* What was read from the cache isn't counted among the tokens of the input. */
static void write_usage(const struct token_usage *u, struct text *out)
{
	text_printf(out,
		    "\"usage\":{\"input_tokens\":%u,\"cache_creation_input_tokens\":0,"
		    "\"cache_read_input_tokens\":%u,\"output_tokens\":%u}",
		    u->prompt - u->cached, u->cached, u->generated);
}

void anthropic_start(struct anthropic_message *m, const struct token_usage *usage, struct text *out)
{
	event(out, "message_start");
	text_puts(out, ",\"message\":{\"id\":");
	text_json_string(out, m->id);
	text_puts(out, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
	text_json_string(out, m->model);
	text_puts(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,");
	write_usage(usage, out);
	text_puts(out, "}");
	finish_event(out);
}

void anthropic_ping(struct text *out)
{
	event(out, "ping");
	finish_event(out);
}

static void delta(struct anthropic_message *m, const char *type, const char *key, const char *data,
		  size_t bytes, struct text *out)
{
	event(out, "content_block_delta");
	text_printf(out, ",\"index\":%u,\"delta\":{\"type\":\"%s\",\"%s\":", m->blocks - 1, type,
		    key);
	text_json(out, data, bytes);
	text_puts(out, "}");
	finish_event(out);
}

static void keep_block(struct anthropic_message *m)
{
	struct json_object *block = m->tool ? m->tool : json_object_new_object();

	m->tool = NULL;
	if (m->open == BLOCK_TOOL) {
		json_object_object_add(block, "input", object_parse(&m->text));
	} else if (m->open == BLOCK_TEXT) {
		object_string(block, "type", "text");
		object_text(block, "text", &m->text);
	} else {
		object_string(block, "type", "thinking");
		object_text(block, "thinking", &m->text);
		object_string(block, "signature", SIGNATURE);
	}
	text_clear(&m->text);
	json_object_array_add(m->content, block);
}

static void close_block(struct anthropic_message *m, struct text *out)
{
	if (m->open == BLOCK_NONE)
		return;
	if (m->content) {
		keep_block(m);
	} else {
		if (m->open == BLOCK_THINKING)
			delta(m, "signature_delta", "signature", SIGNATURE, strlen(SIGNATURE), out);
		event(out, "content_block_stop");
		text_printf(out, ",\"index\":%u", m->blocks - 1);
		finish_event(out);
	}
	m->open = BLOCK_NONE;
}

/* @call: of a tool. */
static void open_block(struct anthropic_message *m, enum anthropic_block kind,
		       const struct piece *call, struct text *out)
{
	char id[ID_BYTES];

	if (m->open == kind && kind != BLOCK_TOOL)
		return;
	close_block(m, out);
	m->open = kind;
	m->blocks++;
	if (kind == BLOCK_TOOL)
		openai_id(id, "toolu_");
	if (m->content) {
		if (kind != BLOCK_TOOL)
			return;
		m->tool = json_object_new_object();
		object_string(m->tool, "type", "tool_use");
		object_string(m->tool, "id", call->id ? call->id : id);
		object_string(m->tool, "name", call->name);
		return;
	}
	event(out, "content_block_start");
	text_printf(out, ",\"index\":%u,\"content_block\":{\"type\":", m->blocks - 1);
	if (kind == BLOCK_TEXT) {
		text_puts(out, "\"text\",\"text\":\"\"}");
	} else if (kind == BLOCK_THINKING) {
		text_puts(out, "\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
	} else {
		text_puts(out, "\"tool_use\",\"id\":");
		text_json_string(out, call->id ? call->id : id);
		text_puts(out, ",\"name\":");
		text_json_string(out, call->name);
		text_puts(out, ",\"input\":{}}");
	}
	finish_event(out);
}

static void finish(struct anthropic_message *m, const struct piece *end, struct text *out)
{
	close_block(m, out);
	if (m->content)
		return;
	event(out, "message_delta");
	text_printf(out, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":", stop_reason(end));
	text_json_string(out, end->stop);
	text_puts(out, "},");
	write_usage(&end->usage, out);
	finish_event(out);
	event(out, "message_stop");
	finish_event(out);
}

void anthropic_piece(struct anthropic_message *m, const struct piece *piece, struct text *out)
{
	static const struct {
		enum anthropic_block block;
		const char *type, *key;
	} texts[] = {
		[PIECE_TEXT] = { BLOCK_TEXT, "text_delta", "text" },
		[PIECE_REASONING] = { BLOCK_THINKING, "thinking_delta", "thinking" },
		[PIECE_ARGUMENTS] = { BLOCK_TOOL, "input_json_delta", "partial_json" },
	};

	switch (piece->kind) {
	case PIECE_TEXT:
	case PIECE_REASONING:
	case PIECE_ARGUMENTS:
		if (!piece->bytes)
			break;
		if (piece->kind != PIECE_ARGUMENTS)
			open_block(m, texts[piece->kind].block, NULL, out);
		if (m->content)
			text_add(&m->text, piece->text, piece->bytes);
		else
			delta(m, texts[piece->kind].type, texts[piece->kind].key, piece->text,
			      piece->bytes, out);
		break;
	case PIECE_CALL:
		open_block(m, BLOCK_TOOL, piece, out);
		break;
	case PIECE_END:
		finish(m, piece, out);
		break;
	case PIECE_FAILED:
		text_puts(out, "event: error\ndata: ");
		problem_write(&piece->problem, DIALECT_ANTHROPIC, out);
		text_puts(out, "\n\n");
		break;
	case PIECE_NONE:
		break;
	}
}

struct json_object *anthropic_whole(struct anthropic_message *m, const struct piece *end)
{
	const struct token_usage *u = &end->usage;
	struct json_object *o = json_object_new_object(), *usage = json_object_new_object();

	object_string(o, "id", m->id);
	object_string(o, "type", "message");
	object_string(o, "role", "assistant");
	object_string(o, "model", m->model);
	json_object_object_add(o, "content", m->content);
	m->content = NULL;
	object_string(o, "stop_reason", stop_reason(end));
	object_string(o, "stop_sequence", end->stop);
	object_count(usage, "input_tokens", u->prompt - u->cached);
	object_count(usage, "cache_creation_input_tokens", 0);
	object_count(usage, "cache_read_input_tokens", u->cached);
	object_count(usage, "output_tokens", u->generated);
	json_object_object_add(o, "usage", usage);
	return o;
}

void anthropic_free(struct anthropic_message *m)
{
	json_object_put(m->content);
	json_object_put(m->tool);
	text_free(&m->text);
}
