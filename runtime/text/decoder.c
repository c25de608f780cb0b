// SPDX-License-Identifier: MIT
/* Decoders: text that isn't settled yet is kept back, with the tokens that it came from. */
#include "text/decoder.h"

#include "base/sized.h"
#include "base/use.h"
#include "text/vocabulary.h"

enum { MAX_STOP = 256, PENDING = 512 };

struct stoker_decoder {
	struct stoker_vocabulary *vocabulary;
	_Atomic int use;
	bool special, stopped;
	size_t stop_count;
	char **stop;
	/* kept back: bytes, and which token each is from, counted from 1 */
	char *pending;
	uint32_t *from;
	size_t length, room;
	uint32_t pushed; /* tokens */
	uint32_t given;	 /* the last one of whose text something was given */
	uint32_t held;
	char *clean; /* what was given last; 3 bytes for each that may be kept back, and a NUL */
};

static int copy_stops(struct stoker_decoder *d, const struct stoker_decoder_params *p,
		      struct stoker_error *err)
{
	if (p->stop_count && !p->stop)
		return stoker_fail(err, -EINVAL, "%zu stop strings, but no list of them",
				   p->stop_count);
	d->stop = calloc(p->stop_count + 1, sizeof(*d->stop));
	if (!d->stop)
		return stoker_fail(err, -ENOMEM, "no memory for %zu stop strings", p->stop_count);
	for (; d->stop_count < p->stop_count; d->stop_count++) {
		const char *stop = p->stop[d->stop_count];
		const size_t bytes = stop ? strlen(stop) : 0;

		if (!bytes || bytes > MAX_STOP)
			return stoker_fail(err, -EINVAL,
					   "stop string %zu has %zu bytes, limits 1 and %d",
					   d->stop_count + 1, bytes, MAX_STOP);
		d->stop[d->stop_count] = strdup(stop);
		if (!d->stop[d->stop_count])
			return stoker_fail(err, -ENOMEM, "no memory for stop string %zu",
					   d->stop_count + 1);
	}
	return 0;
}

/* Room for @bytes that are kept back, and for their text. */
static int reserve(struct stoker_decoder *d, size_t bytes)
{
	char *pending, *clean;
	uint32_t *from;

	if (bytes <= d->room)
		return 0;
	bytes = MAX(bytes, 2 * d->room);
	pending = realloc(d->pending, bytes);
	d->pending = pending ? pending : d->pending;
	from = realloc(d->from, bytes * sizeof(*from));
	d->from = from ? from : d->from;
	clean = realloc(d->clean, 3 * bytes + 1);
	d->clean = clean ? clean : d->clean;
	if (!pending || !from || !clean)
		return -ENOMEM;
	d->room = bytes;
	return 0;
}

static void destroy(struct stoker_decoder *d)
{
	for (size_t i = 0; i < d->stop_count; i++)
		free(d->stop[i]);
	stoker_vocabulary_free(&d->vocabulary);
	free(d->stop);
	free(d->pending);
	free(d->from);
	free(d->clean);
	free(d);
}

int stoker_decoder_create(const struct stoker_vocabulary *vocabulary,
			  const struct stoker_decoder_params *params, struct stoker_decoder **out,
			  struct stoker_error *err)
{
	struct stoker_decoder_params own;
	struct stoker_decoder *d;
	int ret;

	if (!out)
		return stoker_fail(err, -EINVAL, "no place for the decoder");
	*out = NULL;
	if (!vocabulary)
		return stoker_fail(err, -EINVAL, "a decoder needs a vocabulary");
	ret = SIZED_TAKE(&own, params, STOKER_DECODER_PARAMS_INIT, err);
	if (ret)
		return ret;
	if (own.reserved)
		return stoker_fail(err, -E2BIG,
				   "STOKER_DECODER_PARAMS_INIT: reserved is %u, this library has "
				   "no use for it: the program was built for a newer one",
				   own.reserved);
	d = calloc(1, sizeof(*d));
	if (!d)
		return stoker_fail(err, -ENOMEM, "out of memory");
	d->vocabulary = vocabulary_share(vocabulary);
	d->special = own.special != 0;
	ret = copy_stops(d, &own, err);
	if (!ret && reserve(d, PENDING))
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	if (ret) {
		destroy(d);
		return ret;
	}
	*d->clean = 0;
	*out = d;
	return 0;
}

void stoker_decoder_free(struct stoker_decoder **decoder)
{
	struct stoker_decoder *d = decoder ? *decoder : NULL;

	if (!d)
		return;
	*decoder = NULL;
	if (use_release(&d->use))
		destroy(d);
}

bool decoder_begin(struct stoker_decoder *d)
{
	return use_begin(&d->use);
}

void decoder_end(struct stoker_decoder *d)
{
	if (use_end(&d->use))
		destroy(d);
}

/* Bytes at the end that belong to an unfinished UTF-8 character. */
static size_t unfinished(const char *text, size_t length)
{
	for (size_t back = 1; back <= 3 && back <= length; back++) {
		const unsigned char c = (unsigned char)text[length - back];
		const size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if ((c & 0xc0) != 0x80)
			return need > back ? back : 0;
	}
	return 0;
}

/* Where a stop string begins in the text, or the text's length. */
static size_t find_stop(const struct stoker_decoder *d)
{
	size_t found = d->length;

	for (size_t i = 0; i < d->stop_count; i++) {
		const char *at = memmem(d->pending, d->length, d->stop[i], strlen(d->stop[i]));

		if (at)
			found = MIN(found, (size_t)(at - d->pending));
	}
	return found;
}

/* Bytes at the end that may become a stop string with what follows. */
static size_t maybe_stop(const struct stoker_decoder *d)
{
	size_t most = 0;

	for (size_t i = 0; i < d->stop_count; i++)
		for (size_t n = MIN(strlen(d->stop[i]), d->length + 1); n-- > most + 1;)
			if (!memcmp(d->pending + d->length - n, d->stop[i], n)) {
				most = n;
				break;
			}
	return most;
}

/* The first @bytes are given; what isn't UTF-8 goes out as U+FFFD. */
static void give(struct stoker_decoder *d, size_t bytes, const char **utf8, size_t *count)
{
	size_t length = 0;

	for (size_t i = 0; i < bytes;) {
		uint32_t c;
		const size_t n = utf8_decode(d->pending + i, bytes - i, &c);

		if (n)
			memcpy(d->clean + length, d->pending + i, n);
		length += n ? n : utf8_encode(0xfffd, d->clean + length);
		i += n ? n : 1;
	}
	d->clean[length] = 0;
	if (bytes)
		d->given = d->from[bytes - 1];
	d->length -= bytes;
	memmove(d->pending, d->pending + bytes, d->length);
	memmove(d->from, d->from + bytes, d->length * sizeof(*d->from));
	d->held = 0;
	if (d->length)
		d->held = d->pushed - MAX(d->given, d->from[0] - 1);
	*utf8 = d->clean;
	if (count)
		*count = length;
}

int decoder_push(struct stoker_decoder *d, uint32_t token, const char **utf8, size_t *bytes)
{
	const size_t n = stoker_vocabulary_text(d->vocabulary, token, d->special, NULL, 0);
	size_t stop;

	*d->clean = 0;
	*utf8 = d->clean;
	if (bytes)
		*bytes = 0;
	if (d->stopped)
		return 1;
	if (token >= stoker_vocabulary_size(d->vocabulary))
		return -EINVAL;
	if (reserve(d, d->length + n))
		return -ENOMEM;
	*utf8 = d->clean; /* which may have moved */
	stoker_vocabulary_text(d->vocabulary, token, d->special, d->pending + d->length, n);
	d->pushed++;
	for (size_t i = 0; i < n; i++)
		d->from[d->length + i] = d->pushed;
	d->length += n;
	stop = find_stop(d);
	if (stop < d->length) {
		give(d, stop, utf8, bytes);
		d->length = 0;
		d->stopped = true;
		return 1;
	}
	give(d, d->length - MAX(maybe_stop(d), unfinished(d->pending, d->length)), utf8, bytes);
	return 0;
}

void decoder_flush(struct stoker_decoder *d, const char **utf8, size_t *bytes)
{
	const uint32_t held = d->stopped ? d->held : 0;

	give(d, d->length, utf8, bytes);
	d->held = held;
}

int stoker_decoder_push(struct stoker_decoder *d, uint32_t token, const char **utf8, size_t *bytes)
{
	int ret;

	if (!d || !utf8)
		return -EINVAL;
	if (!decoder_begin(d))
		return -EBUSY;
	ret = decoder_push(d, token, utf8, bytes);
	decoder_end(d);
	return ret;
}

int stoker_decoder_flush(struct stoker_decoder *d, const char **utf8, size_t *bytes)
{
	if (!d || !utf8)
		return -EINVAL;
	if (!decoder_begin(d))
		return -EBUSY;
	decoder_flush(d, utf8, bytes);
	decoder_end(d);
	return 0;
}

int stoker_decoder_reset(struct stoker_decoder *d)
{
	if (!d)
		return -EINVAL;
	if (!decoder_begin(d))
		return -EBUSY;
	d->length = 0;
	d->pushed = d->given = d->held = 0;
	d->stopped = false;
	decoder_end(d);
	return 0;
}

uint32_t stoker_decoder_held(const struct stoker_decoder *d)
{
	return d ? d->held : 0;
}

const struct stoker_vocabulary *decoder_vocabulary(const struct stoker_decoder *d)
{
	return d->vocabulary;
}

bool decoder_stopped(const struct stoker_decoder *d)
{
	return d->stopped;
}
