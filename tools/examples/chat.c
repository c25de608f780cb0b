// SPDX-License-Identifier: MIT
/*
 * A conversation at a terminal:  chat MODEL.gguf
 *
 *	cc chat.c $(pkg-config --cflags --libs stoker-rt) -o chat
 *
 * Prompts are made by the model's own template.  What the context holds already isn't evaluated
 * again.  Ctrl-C ends an answer, and at the prompt the program.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>

enum { MESSAGES = 200 };

struct chat {
	struct stoker_model *model;
	struct stoker_session *session;
	struct stoker_sampler *sampler;
	struct stoker_template *chat_template;
	const struct stoker_vocabulary *vocabulary;
	struct stoker_message messages[MESSAGES];
	size_t count;
	char *answer; /* that is being given */
	size_t bytes, room;
};

/* The session while it computes: stoker_session_cancel() may be called by signal handlers. */
static struct stoker_session *volatile computing;

static void interrupt(int signal)
{
	struct stoker_session *session = computing;

	(void)signal;
	if (session)
		stoker_session_cancel(session);
}

/* Whole characters, as they come; nonzero would end the answer. */
static int take_text(void *user, const char *utf8, size_t bytes)
{
	struct chat *c = (struct chat *)user;

	if (c->bytes + bytes + 1 > c->room) {
		char *more = (char *)realloc(c->answer, 2 * (c->bytes + bytes) + 256);

		if (!more)
			return 1;
		c->answer = more;
		c->room = 2 * (c->bytes + bytes) + 256;
	}
	memcpy(c->answer + c->bytes, utf8, bytes);
	c->bytes += bytes;
	c->answer[c->bytes] = 0;
	return fwrite(utf8, 1, bytes, stdout) != bytes || fflush(stdout);
}

/* How many tokens the context and a prompt have in common; one at least has to be evaluated. */
static size_t in_common(struct stoker_session *session, const uint32_t *tokens, size_t count)
{
	size_t had, same = 0;
	const uint32_t *old = stoker_session_tokens(session, &had);

	while (same < had && same + 1 < count && old[same] == tokens[same])
		same++;
	return stoker_session_reachable(session, (uint32_t)same);
}

/* The conversation so far as tokens, to be released with stoker_free(). */
static int make_prompt(const struct chat *c, uint32_t **tokens, size_t *count,
		       struct stoker_error *err)
{
	struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT };
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	int ret;

	input.messages = c->messages;
	input.message_size = sizeof(c->messages[0]);
	input.count = c->count;
	input.answer = 1;
	ret = stoker_template_render(c->chat_template, c->vocabulary, &input, &prompt, err);
	if (!ret)
		ret = stoker_prompt_tokenize(c->vocabulary, &prompt, tokens, count, err);
	stoker_prompt_free(&prompt);
	return ret;
}

/* 0, also for an answer that was interrupted. */
static int answer(struct chat *c, struct stoker_error *err)
{
	struct stoker_generate_params how = { STOKER_GENERATE_PARAMS_INIT };
	uint32_t *tokens = NULL;
	size_t count = 0, same;
	int ret = make_prompt(c, &tokens, &count, err);

	if (ret)
		return ret;
	c->bytes = 0;
	how.text = take_text;
	how.user = c;
	same = in_common(c->session, tokens, count);
	stoker_sampler_begin(c->sampler, tokens, count);
	stoker_session_begin(c->session); /* an interruption that came too late is forgotten */
	computing = c->session;
	ret = stoker_session_truncate(c->session, (uint32_t)same, err);
	if (!ret)
		ret = stoker_session_eval(c->session, tokens + same, count - same,
					  STOKER_LOGITS_LAST, err);
	if (!ret)
		ret = stoker_session_generate(c->session, c->sampler, c->vocabulary, &how, NULL,
					      err);
	computing = NULL;
	stoker_free(tokens);
	putchar('\n');
	return ret == -ECANCELED ? 0 : ret;
}

static int say(struct chat *c, const char *role, const char *content)
{
	char *copy = strdup(content);

	if (!copy || c->count == MESSAGES)
		return free(copy), -ENOSPC;
	c->messages[c->count].role = role;
	c->messages[c->count++].content = copy;
	return 0;
}

static int converse(struct chat *c, struct stoker_error *err)
{
	char line[4096];
	int ret = 0;

	while (!ret && fputs("> ", stdout) >= 0 && !fflush(stdout) &&
	       fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		snprintf(err->message, sizeof(err->message), "the conversation is too long");
		ret = say(c, "user", line);
		if (!ret)
			ret = answer(c, err);
		if (!ret)
			ret = say(c, "assistant", c->bytes ? c->answer : "");
	}
	return ret;
}

static int open_chat(struct chat *c, struct stoker_device *device, const char *path,
		     struct stoker_error *err)
{
	struct stoker_sampler_params sampling = { STOKER_SAMPLER_PARAMS_INIT };
	struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT };
	const char *bundled = stoker_template_bundled("chatml");
	int ret = stoker_model_load(device, path, NULL, &c->model, err);

	if (!ret)
		ret = stoker_model_vocabulary(c->model, &c->vocabulary, err);
	if (!ret)
		ret = stoker_template_load(c->vocabulary, NULL, &c->chat_template, err);
	if (ret == -ENOENT) /* not made for conversations */
		ret = stoker_template_parse(bundled, strlen(bundled), "chatml", &c->chat_template,
					    err);
	session.context = 2048;
	if (!ret)
		ret = stoker_session_create(c->model, &session, &c->session, err);
	stoker_sampler_defaults(&sampling);
	sampling.seed = 1;
	sampling.vocabulary = c->vocabulary;
	if (!ret)
		ret = stoker_sampler_create(&sampling, &c->sampler, err);
	return ret;
}

int main(int argc, char **argv)
{
	static struct chat c;
	struct stoker_device *device = NULL;
	struct stoker_error err;
	struct sigaction action;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: %s MODEL.gguf\n", argv[0]);
		return 2;
	}
	ret = stoker_device_open(NULL, &device, &err);
	if (!ret)
		ret = open_chat(&c, device, argv[1], &err);
	memset(&action, 0, sizeof(action));
	action.sa_handler = interrupt;
	sigaction(SIGINT, &action, NULL); /* without SA_RESTART: reading a line ends, too */
	if (!ret)
		ret = converse(&c, &err);
	if (ret)
		fprintf(stderr, "%s\n", err.message);
	while (c.count)
		free((void *)c.messages[--c.count].content);
	free(c.answer);
	stoker_sampler_free(&c.sampler);
	stoker_session_free(&c.session);
	stoker_template_free(&c.chat_template);
	stoker_model_free(&c.model);
	stoker_device_close(&device);
	return ret != 0;
}
