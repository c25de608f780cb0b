// SPDX-License-Identifier: MIT
/* A conversation: turns and commands from the input, answers of the model. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "input.h"
#include "signals.h"
#include "terminal.h"

enum { EXIT_TERMINATED = 143 };

struct chat {
	struct conversation conversation;
	struct input *input;
	char *file;  /* that /save or /load named last */
	bool failed; /* a turn had no answer */
};

enum then { GO_ON, END };

struct command {
	const char *name, *argument, *help;
	enum then (*run)(struct chat *chat, char *argument);
};

static enum then help(struct chat *chat, char *argument);

static enum then complain(struct chat *chat)
{
	chat->failed = true;
	return GO_ON;
}

/* Something went as it was asked for; whoever sits there likes to know. */
static void tell(const struct chat *chat, const char *what)
{
	if (chat->conversation.edited)
		fprintf(stderr, "%s\n", what);
}

/* Some templates know no system message, and would refuse every turn.  false after a complaint. */
static bool change_system(struct conversation *c, const char *text)
{
	const struct stoker_message messages[] = { { .role = "system", .content = text },
						   { .role = "user", .content = "a question" } };
	const struct stoker_template_input input = {
		STOKER_TEMPLATE_INPUT_INIT,	.message_size = sizeof(struct stoker_message),
		.messages = messages,		.count = 2,
		.variables = c->run->variables, .answer = 1
	};
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT, .text = NULL };
	struct stoker_error err;

	if (*text &&
	    stoker_template_render(c->run->template, c->run->vocabulary, &input, &prompt, &err)) {
		fail(&err);
		return false;
	}
	stoker_prompt_free(&prompt);
	if (!messages_set_system(&c->messages, text)) {
		failf("out of memory");
		return false;
	}
	return true;
}

static enum then set_system(struct chat *chat, char *argument)
{
	struct messages *m = &chat->conversation.messages;

	if (!*argument) {
		const bool any = messages_leading(m) > 0;

		if (any)
			put_visible(stderr, m->items[0].content, strlen(m->items[0].content));
		fputs(any ? "\n" : "none was given; the template may have one of its own\n",
		      stderr);
		return GO_ON;
	}
	if (!change_system(&chat->conversation, strcmp(argument, "-") ? argument : ""))
		return complain(chat);
	tell(chat, "the system message is another one from now on");
	return GO_ON;
}

static void forget_dropped(struct conversation *c)
{
	c->dropped = 0;
	c->told = false;
}

static enum then clear(struct chat *chat, char *argument)
{
	struct conversation *c = &chat->conversation;

	(void)argument;
	messages_truncate(&c->messages, messages_leading(&c->messages));
	forget_dropped(c);
	tell(chat, "all is forgotten but the system message");
	return GO_ON;
}

static enum then finish_answer(struct chat *chat, size_t messages)
{
	struct conversation *c = &chat->conversation;
	const enum answer_result result = answer(c);

	if (result != ANSWER_DONE) {
		messages_truncate(&c->messages, messages);
		chat->failed = true;
		if (c->edited)
			fputs("the up arrow brings back what was typed\n", stderr);
	}
	return signals_terminated() || ferror(stdout) || (result == ANSWER_FAILED && !c->edited)
		       ? END
		       : GO_ON;
}

static enum then retry(struct chat *chat, char *argument)
{
	struct messages *m = &chat->conversation.messages;
	size_t last = m->count;

	(void)argument;
	while (last && strcmp(m->items[last - 1].role, "user") != 0)
		last--;
	if (!last) {
		failf("there is no turn to answer again");
		return complain(chat);
	}
	messages_truncate(m, last);
	return finish_answer(chat, last);
}

/* A path as it is typed: ~/ is the home folder.  NULL without memory. */
static char *expand(const char *typed)
{
	const char *home = getenv("HOME");
	char *path;

	if (!home || strncmp(typed, "~/", 2) != 0)
		return strdup(typed);
	path = malloc(strlen(home) + strlen(typed));
	if (path)
		stpcpy(stpcpy(path, home), typed + 1);
	return path;
}

/* The file that is named, or was before; NULL after a complaint. */
static const char *choose_file(struct chat *chat, const char *argument)
{
	if (*argument) {
		free(chat->file);
		chat->file = expand(argument);
		if (!chat->file)
			failf("out of memory");
	} else if (!chat->file) {
		failf("a file's name has to follow");
	}
	return chat->file;
}

static enum then save(struct chat *chat, char *argument)
{
	const char *file = choose_file(chat, argument);

	if (!file || !messages_save(&chat->conversation.messages, file))
		return complain(chat);
	if (chat->conversation.edited)
		fprintf(stderr, "%zu messages are in %s\n", chat->conversation.messages.count,
			file);
	return GO_ON;
}

static enum then load(struct chat *chat, char *argument)
{
	struct conversation *c = &chat->conversation;
	const char *file = choose_file(chat, argument);

	if (!file || !messages_load(&c->messages, file))
		return complain(chat);
	forget_dropped(c);
	if (c->edited)
		fprintf(stderr, "%zu messages from %s\n", c->messages.count, file);
	return GO_ON;
}

static enum then stats(struct chat *chat, char *argument)
{
	const struct conversation *c = &chat->conversation;

	(void)argument;
	if (c->ran)
		print_stats(c->run, &c->timing);
	else
		fputs("there is no answer yet\n", stderr);
	return GO_ON;
}

static enum then quit(struct chat *chat, char *argument)
{
	(void)chat;
	(void)argument;
	return END;
}

static const struct command commands[] = {
	{ "help", NULL, "print this", help },
	{ "system", "TEXT", "tell the model what it is to be, - nothing; alone: show that",
	  set_system },
	{ "clear", NULL, "forget the conversation, but not the system message", clear },
	{ "retry", NULL, "answer the last turn once more", retry },
	{ "save", "FILE", "write the conversation as JSON", save },
	{ "load", "FILE", "go on with one that was saved", load },
	{ "stats", NULL, "speed and memory of the last answer", stats },
	{ "quit", NULL, "end, as Ctrl-D does", quit },
};

enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

static enum then help(struct chat *chat, char *argument)
{
	(void)chat;
	(void)argument;
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(stderr, "  /%-6s %-5s %s\n", commands[i].name,
			commands[i].argument ? commands[i].argument : "", commands[i].help);
	fputs("A line that ends in \\ goes on in the next; \"\"\" begins and ends a text of "
	      "several.\n"
	      "// sends a text that begins with /. Ctrl-C stops an answer, or clears the line.\n",
	      stderr);
	return GO_ON;
}

static enum then run_command(struct chat *chat, char *line)
{
	size_t n = strcspn(line, " \t\n");
	char *argument = line + n + strspn(line + n, " \t\n");
	size_t end = strlen(argument);

	while (end && strchr(" \t\n", argument[end - 1]))
		argument[--end] = 0;
	for (size_t i = 0; i < COMMANDS; i++)
		if (strlen(commands[i].name) == n - 1 &&
		    !strncmp(line + 1, commands[i].name, n - 1)) {
			if (!*argument || commands[i].argument)
				return commands[i].run(chat, argument);
			failf("/%s takes nothing more", commands[i].name);
			return complain(chat);
		}
	fputs("stoker: no command \"", stderr);
	put_visible(stderr, line, n);
	fputs("\"; /help lists them, // sends a text that begins with /\n", stderr);
	return complain(chat);
}

static bool is_blank(const char *text)
{
	return !text[strspn(text, " \t\r\n")];
}

static enum then take_turn(struct chat *chat, char *text, bool verbatim)
{
	struct messages *m = &chat->conversation.messages;
	const size_t before = m->count;

	if (is_blank(text))
		return GO_ON;
	if (!verbatim && *text == '/') {
		if (text[1] != '/')
			return run_command(chat, text);
		text++;
	}
	if (!messages_add(m, "user", text, NULL)) {
		failf("out of memory");
		return complain(chat);
	}
	return finish_answer(chat, before);
}

static int talk(struct chat *chat)
{
	enum then then = GO_ON;
	bool hinted = false;

	while (then == GO_ON) {
		bool verbatim;
		char *text;

		switch (input_turn(chat->input, &text, &verbatim)) {
		case INPUT_TURN:
			hinted = false;
			then = take_turn(chat, text, verbatim);
			free(text);
			break;
		case INPUT_EMPTY:
			if (hinted)
				return EXIT_INTERRUPTED;
			fputs("Ctrl-C once more ends, as Ctrl-D and /quit do\n", stderr);
			hinted = true;
			break;
		case INPUT_CLEARED:
			hinted = false;
			break;
		case INPUT_CLOSED:
			then = END;
			break;
		case INPUT_SIGNAL:
			return signals_terminated() ? EXIT_TERMINATED : EXIT_INTERRUPTED;
		case INPUT_FAILED:
			return EXIT_FAILED;
		}
	}
	if (signals_terminated())
		return EXIT_TERMINATED;
	return chat->failed && !chat->conversation.edited ? EXIT_FAILED : EXIT_OK;
}

static void greet(const struct run *r)
{
	put_visible(stderr, r->model, strlen(r->model));
	fprintf(stderr, " on %s\n/help lists commands, Ctrl-D ends\n",
		stoker_device_description(r->on));
}

int converse(struct run *r)
{
	struct chat chat = { .conversation = { .run = r } };
	struct conversation *c = &chat.conversation;
	const char *words[COMMANDS + 1] = { NULL };
	int status;

	if (r->system) {
		char *system = clean_text(r->system, strlen(r->system));
		const bool ok = system && change_system(c, system);

		free(system);
		if (!ok)
			return EXIT_FAILED;
	}
	if (!signals_begin(r->session)) {
		messages_free(&c->messages);
		return failf("can't make a pipe: %s", strerror(errno));
	}
	c->end_of_turn = end_of_turn(r->template, r->vocabulary, r->variables);
	for (size_t i = 0; i < COMMANDS; i++)
		words[i] = commands[i].name;
	chat.input = input_open(words);
	if (chat.input) {
		c->edited = input_is_edited(chat.input);
		if (c->edited)
			greet(r);
		status = talk(&chat);
	} else {
		status = failf("out of memory");
	}
	signals_end();
	if (r->stats && c->ran)
		print_stats(r, &c->timing);
	input_close(chat.input);
	messages_free(&c->messages);
	free(c->end_of_turn);
	free(chat.file);
	return status;
}
