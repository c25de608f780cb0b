// SPDX-License-Identifier: MIT
/* The turns that a person types at a terminal, or that come from a pipe or a file. */
#include "input.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <utf8proc.h>

#include "editor.h"
#include "signals.h"
#include "terminal.h"
#include "tool.h"

enum { MAX_TURN = 16 << 20, HISTORY = 1000, PROMPT_WIDTH = 2 };

#define QUOTES "\"\"\""

struct input {
	EditLine *editor; /* NULL: lines are read as they are */
	HistoryW *history;
	const char *const *words;
	FILE *screen;
	bool pastes; /* the terminal marks what is pasted */
	bool more;   /* the line goes on one that came before */
	enum input_result ended;
	mbstate_t decoding;
	char *data; /* what was read; beyond the last line from @begin on */
	size_t begin, length, room;
};

/* Readline's, for terminals that terminfo says too little about. */
static const wchar_t *const bindings[][2] = {
	{ L"\\e[1~", L"ed-move-to-beg" },      { L"\\e[4~", L"ed-move-to-end" },
	{ L"\\e[7~", L"ed-move-to-beg" },      { L"\\e[8~", L"ed-move-to-end" },
	{ L"\\e[H", L"ed-move-to-beg" },       { L"\\e[F", L"ed-move-to-end" },
	{ L"\\e[3~", L"ed-delete-next-char" }, { L"\\e[2~", L"ed-quoted-insert" },
	{ L"\\e[1;5C", L"em-next-word" },      { L"\\e[1;5D", L"ed-prev-word" },
	{ L"\\e[5C", L"em-next-word" },	       { L"\\e[5D", L"ed-prev-word" },
	{ L"\\e\\e[C", L"em-next-word" },      { L"\\e\\e[D", L"ed-prev-word" },
	{ L"^R", L"em-inc-search-prev" },      { L"\\e[200~", L"stoker-paste" },
	{ L"^I", L"stoker-complete" },
};

static wchar_t *prompt(EditLine *editor)
{
	static wchar_t first[] = L"> ", further[] = L". ";
	struct input *in;

	libedit.wget(editor, EL_CLIENTDATA, &in);
	return in->more ? further : first;
}

static void mark_pastes(struct input *in, bool on)
{
	if (in->pastes) {
		fputs(on ? "\033[?2004h" : "\033[?2004l", in->screen);
		fflush(in->screen);
	}
}

/* The shell gets its terminal back until it lets us go on. */
static void suspend(struct input *in)
{
	mark_pastes(in, false);
	libedit.wset(in->editor, EL_PREP_TERM, 0);
	raise(SIGSTOP);
	libedit.wset(in->editor, EL_PREP_TERM, 1);
	mark_pastes(in, true);
	libedit.wset(in->editor, EL_REFRESH);
}

/* The editor draws a line of a new width from its beginning, wherever the cursor is. */
static void redraw(struct input *in)
{
	const LineInfoW *line = libedit.wline(in->editor);
	struct winsize size = { .ws_col = 0 };
	unsigned column = PROMPT_WIDTH, rows = 0;

	ioctl(fileno(in->screen), TIOCGWINSZ, &size);
	for (const wchar_t *c = line->buffer; size.ws_col && c < line->cursor; c++) {
		const int width = wcwidth(*c);

		column += width > 0 ? (unsigned)width : 0;
		if (*c == L'\n' || column >= size.ws_col) {
			column = *c == L'\n' ? 0 : column - size.ws_col;
			rows++;
		}
	}
	if (has_cursor(in->screen))
		fprintf(in->screen, rows ? "\r\033[%uA\033[J" : "\r\033[J", rows);
	libedit.resize(in->editor);
	libedit.wset(in->editor, EL_REFRESH);
}

/* Waits for a byte; false when the line ends here. */
static bool wait_for_key(struct input *in)
{
	const LineInfoW *line;

	while (in->ended == INPUT_TURN) {
		switch (signals_wait(0)) {
		case 0:
			return true;
		case SIGINT:
			line = libedit.wline(in->editor);
			in->ended = line->lastchar > line->buffer ? INPUT_CLEARED : INPUT_EMPTY;
			break;
		case SIGTERM:
			in->ended = INPUT_SIGNAL;
			break;
		case SIGTSTP:
			suspend(in);
			break;
		case SIGWINCH:
			redraw(in);
			break;
		}
	}
	return false;
}

/* The editor's next character: 1, 0 at the end, -1 when it is to give up. */
static int get_character(EditLine *editor, wchar_t *c)
{
	struct input *in;

	libedit.wget(editor, EL_CLIENTDATA, &in);
	for (;;) {
		char byte;
		ssize_t n;

		if (!wait_for_key(in))
			return -1;
		n = read(0, &byte, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return 0;
		switch (mbrtowc(c, &byte, 1, &in->decoding)) {
		case (size_t)-2:
			break;
		case (size_t)-1: /* no UTF-8 */
			in->decoding = (mbstate_t){ 0 };
			break;
		default:
			return 1;
		}
	}
}

/* What the terminal pastes comes between marks, so that its line feeds don't end the turn. */
static unsigned char paste(EditLine *editor, wint_t key)
{
	static const wchar_t end[] = L"\033[201~";
	const size_t marks = wcslen(end);
	wchar_t *text = NULL, c, last = 0;
	size_t n = 0, room = 0;

	(void)key;
	while (n < MAX_TURN && libedit.wgetc(editor, &c) == 1) {
		if (n + 2 > room) {
			wchar_t *more = realloc(text, (2 * room + 256) * sizeof(*text));

			if (!more)
				break;
			text = more;
			room = 2 * room + 256;
		}
		if (c && !(c == L'\n' && last == L'\r'))
			text[n++] = c == L'\r' ? L'\n' : c;
		last = c;
		if (n >= marks && !wmemcmp(text + n - marks, end, marks)) {
			n -= marks;
			break;
		}
	}
	while (n && text[n - 1] == L'\n')
		n--;
	if (n) {
		text[n] = 0;
		libedit.winsertstr(editor, text);
	}
	free(text);
	return CC_REFRESH;
}

/* A command's name, when what is typed so far is a slash and the beginning of only one. */
static unsigned char complete_word(EditLine *editor, wint_t key)
{
	const LineInfoW *line = libedit.wline(editor);
	const size_t n = (size_t)(line->cursor - line->buffer);
	wchar_t rest[32] = L"";
	struct input *in;
	unsigned found = 0;

	(void)key;
	libedit.wget(editor, EL_CLIENTDATA, &in);
	for (size_t i = 0; n && *line->buffer == L'/' && in->words[i]; i++) {
		wchar_t word[32];

		swprintf(word, 32, L"/%s ", in->words[i]);
		if (wcslen(word) >= n && !wmemcmp(word, line->buffer, n)) {
			wcscpy(rest, word + n);
			found++;
		}
	}
	return found == 1 && line->cursor == line->lastchar && !libedit.winsertstr(editor, rest)
		       ? CC_REFRESH
		       : CC_ERROR;
}

static bool open_editor(struct input *in)
{
	HistEventW event;

	in->editor = libedit.init("stoker", stdin, in->screen, stderr);
	in->history = libedit.history_init();
	if (!in->editor || !in->history)
		return false;
	libedit.wset(in->editor, EL_CLIENTDATA, in);
	libedit.wset(in->editor, EL_PROMPT, prompt);
	libedit.wset(in->editor, EL_SIGNAL, 0);
	libedit.wset(in->editor, EL_GETCFN, get_character);
	libedit.history(in->history, &event, H_SETSIZE, HISTORY);
	libedit.history(in->history, &event, H_SETUNIQUE, 1);
	libedit.wset(in->editor, EL_HIST, libedit.history, in->history);
	libedit.wset(in->editor, EL_EDITOR, L"emacs");
	libedit.wset(in->editor, EL_ADDFN, L"stoker-complete", L"Complete a command",
		     complete_word);
	libedit.wset(in->editor, EL_ADDFN, L"stoker-paste", L"Insert pasted text", paste);
	for (size_t i = 0; i < sizeof(bindings) / sizeof(*bindings); i++)
		libedit.wset(in->editor, EL_BIND, bindings[i][0], bindings[i][1], NULL);
	libedit.source(in->editor, NULL);
	in->pastes = has_cursor(in->screen);
	return true;
}

struct input *input_open(const char *const *words)
{
	struct input *in = calloc(1, sizeof(*in));
	struct stoker_error err;

	if (!in)
		return NULL;
	in->words = words;
	in->screen = isatty(1) ? stdout : stderr;
	if (!isatty(0) || !isatty(fileno(in->screen)))
		return in;
	if (libedit_load(&err)) {
		fail(&err); /* lines go without */
	} else if (!open_editor(in)) {
		input_close(in);
		return NULL;
	}
	return in;
}

void input_close(struct input *in)
{
	if (!in)
		return;
	if (in->editor)
		libedit.end(in->editor);
	if (in->history)
		libedit.history_end(in->history);
	free(in->data);
	free(in);
}

bool input_is_edited(const struct input *in)
{
	return in->editor;
}

static char *to_utf8(const wchar_t *text, size_t count)
{
	char *utf8 = malloc(4 * count + 1);
	size_t n = 0;

	for (size_t i = 0; utf8 && i < count; i++)
		n += (size_t)utf8proc_encode_char((utf8proc_int32_t)text[i],
						  (utf8proc_uint8_t *)utf8 + n);
	if (utf8)
		utf8[n] = 0;
	return utf8;
}

static enum input_result edit_line(struct input *in, char **line)
{
	const wchar_t *text;
	int count = 0;

	in->ended = INPUT_TURN;
	in->decoding = (mbstate_t){ 0 };
	signals_editing(true);
	libedit.wset(in->editor, EL_PREP_TERM, 1); /* before the prompt invites to type */
	mark_pastes(in, true);
	text = libedit.wgets(in->editor, &count);
	mark_pastes(in, false);
	signals_editing(false);
	if (in->ended != INPUT_TURN || !text || count <= 0) {
		putc('\n', in->screen); /* the cursor is still behind what was typed */
		fflush(in->screen);
		return in->ended == INPUT_TURN ? INPUT_CLOSED : in->ended;
	}
	if (text[count - 1] == L'\n')
		count--;
	*line = to_utf8(text, (size_t)count);
	if (*line)
		return INPUT_TURN;
	failf("out of memory");
	return INPUT_FAILED;
}

/* Takes a line of @bytes and what ends it, @skip, from what was read. */
static enum input_result take_line(struct input *in, size_t bytes, size_t skip, char **line)
{
	const char *from = in->data + in->begin;
	const bool cr = bytes && skip && from[bytes - 1] == '\r';

	*line = clean_text(from, bytes - cr);
	in->begin += bytes + skip;
	if (*line)
		return INPUT_TURN;
	failf("out of memory");
	return INPUT_FAILED;
}

static enum input_result read_line(struct input *in, char **line)
{
	size_t seen = in->begin;

	for (;;) {
		const char *end = in->data ? memchr(in->data + seen, '\n', in->length - seen)
					   : NULL;
		ssize_t n;

		if (end)
			return take_line(in, (size_t)(end - in->data) - in->begin, 1, line);
		in->length -= in->begin;
		if (in->begin && in->length)
			memmove(in->data, in->data + in->begin, in->length);
		in->begin = 0;
		seen = in->length;
		if (in->length >= MAX_TURN) {
			failf("a line of input has over %d MiB", MAX_TURN >> 20);
			return INPUT_FAILED;
		}
		if (in->room - in->length < 4096) {
			char *more = realloc(in->data, 2 * in->room + 65536);

			if (!more) {
				failf("out of memory");
				return INPUT_FAILED;
			}
			in->data = more;
			in->room = 2 * in->room + 65536;
		}
		if (signals_wait(0))
			return INPUT_SIGNAL;
		n = read(0, in->data + in->length, in->room - in->length);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0) {
			failf("standard input: %s", strerror(errno));
			return INPUT_FAILED;
		}
		if (!n)
			return in->length ? take_line(in, in->length, 0, line) : INPUT_CLOSED;
		in->length += (size_t)n;
	}
}

/* A turn of several lines. */
struct lines {
	char *text;
	size_t length, room;
};

static bool append(struct lines *l, const char *line)
{
	const size_t more = strlen(line) + 2;

	if (l->length + more > MAX_TURN) {
		failf("a turn has over %d MiB", MAX_TURN >> 20);
		return false;
	}
	if (l->length + more > l->room) {
		const size_t room = 2 * (l->length + more);
		char *longer = realloc(l->text, room);

		if (!longer) {
			failf("out of memory");
			return false;
		}
		l->text = longer;
		l->room = room;
	}
	l->text[l->length] = '\n';
	memcpy(l->text + l->length + 1, line, more - 1);
	l->length += more - 1;
	return true;
}

static bool is_continued(const struct lines *l)
{
	size_t slashes = 0;

	while (slashes < l->length && l->text[l->length - 1 - slashes] == '\\')
		slashes++;
	return slashes % 2; /* two are a backslash at the end */
}

/* A quoted text ends with quotes, those that began it aside. */
static bool ends_quoted(const char *text, size_t n)
{
	const size_t q = strlen(QUOTES);

	return n >= 2 * q && !strcmp(text + n - q, QUOTES);
}

static void unquote(char *text)
{
	const size_t q = strlen(QUOTES);
	size_t n = strlen(text);

	if (ends_quoted(text, n))
		n -= q;
	memmove(text, text + q, n - q);
	n -= q;
	if (n && text[n - 1] == '\n')
		n--;
	text[n] = 0;
	if (*text == '\n')
		memmove(text, text + 1, n);
}

static void remember(struct input *in, const char *text)
{
	const size_t n = strlen(text);
	wchar_t *wide = in->history && n ? calloc(n + 1, sizeof(*wide)) : NULL;
	HistEventW event;

	if (wide && mbstowcs(wide, text, n + 1) != (size_t)-1)
		libedit.history(in->history, &event, H_ENTER, wide);
	free(wide);
}

/* Further lines, until the turn is whole. */
static enum input_result complete(struct input *in, char **text, bool quoted)
{
	struct lines l = { .text = *text, .length = strlen(*text) };
	enum input_result result = INPUT_TURN;

	while (result == INPUT_TURN &&
	       (quoted ? !ends_quoted(l.text, l.length) : is_continued(&l))) {
		char *line = NULL;

		if (!quoted)
			l.text[--l.length] = 0;
		in->more = true;
		result = in->editor ? edit_line(in, &line) : read_line(in, &line);
		if (result == INPUT_TURN && !append(&l, line))
			result = INPUT_FAILED;
		free(line);
		if (result == INPUT_CLOSED)
			break;
	}
	*text = l.text;
	if (result == INPUT_CLOSED)
		return INPUT_TURN;
	return result == INPUT_EMPTY ? INPUT_CLEARED : result;
}

enum input_result input_turn(struct input *in, char **text, bool *verbatim)
{
	enum input_result result;

	*text = NULL;
	in->more = false;
	result = in->editor ? edit_line(in, text) : read_line(in, text);
	*verbatim = result == INPUT_TURN && !strncmp(*text, QUOTES, strlen(QUOTES));
	if (result == INPUT_TURN)
		result = complete(in, text, *verbatim);
	if (result != INPUT_TURN) {
		free(*text);
		*text = NULL;
		return result;
	}
	remember(in, *text);
	if (*verbatim)
		unquote(*text);
	return INPUT_TURN;
}
