// SPDX-License-Identifier: MIT
/*
 * What people give for a GGUF file and isn't one: told by its first bytes, with what to do about
 * it.  Nothing here decides whether a file is taken, only what is said of one that isn't.
 */
#include "gguf/container.h"

#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK = 512, EXCERPT = 60, TAR_MAGIC = 257, ZERO_LOOK = 64 };

struct beginning {
	const char *bytes;
	uint8_t length, at;
	const char *means;
};

#define BEGINS(text, means)                      \
	{                                        \
		text, sizeof(text) - 1, 0, means \
	}
#define OLD "a model of before August 2023 (GGML): fetch a newer file or convert it to GGUF"
#define PACKED(how) "a file packed by " how ": unpack it first"

static const struct beginning beginnings[] = {
	BEGINS("version https://git-lfs",
	       "a Git LFS pointer: fetch the file itself (git lfs pull)"),
	BEGINS("version http://git-media",
	       "a Git LFS pointer: fetch the file itself (git lfs pull)"),
	BEGINS("lmgg", OLD),
	BEGINS("fmgg", OLD),
	BEGINS("tjgg", OLD),
	BEGINS("algg", "a LoRA adapter of before 2024 (GGLA), not a model"),
	BEGINS("PK\003\004",
	       "a zip archive, in which PyTorch keeps its models, too: a model has to be "
	       "converted to GGUF"),
	BEGINS("\200\002", "a PyTorch or pickle file: the model has to be converted to GGUF"),
	BEGINS("\211HDF", "an HDF5 file: the model has to be converted to GGUF"),
	BEGINS("\037\213", PACKED("gzip")),
	BEGINS("\050\265\057\375", PACKED("zstd")),
	BEGINS("\3757zXZ", PACKED("xz")),
	BEGINS("BZh", PACKED("bzip2")),
	BEGINS("7z\274\257\047\034", PACKED("7-Zip")),
	BEGINS("Rar!", PACKED("rar")),
	BEGINS("\177ELF", "a program"),
	BEGINS("%PDF", "a PDF document"),
};

static bool all_zero(const uint8_t *head, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (head[i])
			return false;
	return true;
}

/* {"metadata": ... behind its length in eight bytes. */
static bool is_safetensors(const uint8_t *head, size_t bytes)
{
	uint64_t length;

	if (bytes < 10)
		return false;
	memcpy(&length, head, sizeof(length));
	return length >= 2 && length < 1 << 30 && head[8] == '{' &&
	       (head[9] == '"' || head[9] == '}' || head[9] == ' ');
}

static bool is_text(const uint8_t *head, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((head[i] < ' ' && !memchr("\t\n\r\f", head[i], 4)) || head[i] == 127)
			return false;
	return bytes > 0;
}

/* Its first line, and what it may be. */
static void describe_text(const uint8_t *head, size_t bytes, char out[160])
{
	static const char *const pages[] = { "<!doctype html", "<html", "<head", "<?xml", "<!--" };
	char text[LOOK + 1];
	const char *begin = text, *is = "text", *hint = "";

	memcpy(text, head, bytes);
	text[bytes] = 0;
	if (!strncmp(begin, "\xef\xbb\xbf", 3))
		begin += 3;
	begin += strspn(begin, " \t\r\n\f");
	if (*begin == '{' || *begin == '[') {
		is = "JSON";
		hint = ", perhaps a server's answer";
	}
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (ascii_begins(begin, pages[i])) {
			is = "a web page";
			hint = ": its address isn't the file's";
		}
	snprintf(out, 160, "not a GGUF file but %s (\"%.*s\")%s", is,
		 (int)MIN(strcspn(begin, "\r\n"), (size_t)EXCERPT), begin, hint);
}

void gguf_describe_foreign(const uint8_t *head, size_t bytes, uint64_t file_bytes, char out[160])
{
	const size_t look = MIN(bytes, (size_t)LOOK);

	snprintf(out, 160, "not a GGUF file");
	if (file_bytes == 0) {
		snprintf(out, 160, "the file is empty");
		return;
	}
	if (all_zero(head, MIN(look, (size_t)ZERO_LOOK))) {
		snprintf(out, 160, "begins with zeros: an unfinished download?");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
		const struct beginning *b = &beginnings[i];

		if (look >= b->length && !memcmp(head, b->bytes, b->length)) {
			snprintf(out, 160, "not a GGUF file but %s", b->means);
			return;
		}
	}
	if (look >= TAR_MAGIC + 5 && !memcmp(head + TAR_MAGIC, "ustar", 5)) {
		snprintf(out, 160, "not a GGUF file but %s", PACKED("tar"));
	} else if (is_safetensors(head, look)) {
		snprintf(out, 160,
			 "not a GGUF file but safetensors: the model has to be converted to GGUF");
	} else if (is_text(head, look)) {
		describe_text(head, look, out);
	}
}

int gguf_refuse_path(const char *path, mode_t mode, int error, struct stoker_error *err)
{
	if (!strcmp(path, "-") && error)
		return stoker_fail(err, -error,
				   "-: a model isn't read from standard input, which "
				   "can't be searched: give a file");
	if (strstr(path, "://") && error)
		return stoker_fail(err, -error,
				   "%s: no file but an address: fetch it first and give the file",
				   path);
	if (error)
		return stoker_fail(err, -error, "%s: %s", path, stoker_strerror(error));
	if (S_ISDIR(mode))
		return stoker_fail(err, -EISDIR,
				   "%s: a folder; give the .gguf file in it, of several parts the "
				   "first",
				   path);
	return stoker_fail(err, -EINVAL, "%s: not a regular file", path);
}

#define WITHDRAWN_2023 "withdrawn in 2023: fetch a newer file"
#define WITHDRAWN(instead) "withdrawn in 2024: fetch the same model in " instead
#define INSIDE "which is for products inside of programs only"
#define FORK "a type of ik_llama.cpp: fetch the model in another"
#define NO_WEIGHTS "in which no weights are"

static const struct {
	uint16_t id;
	const char *name, *what;
} types[] = {
	{ 4, "Q4_2", WITHDRAWN_2023 },
	{ 5, "Q4_3", WITHDRAWN_2023 },
	{ 9, "Q8_1", INSIDE },
	{ 15, "Q8_K", INSIDE },
	{ 24, "I8", NO_WEIGHTS },
	{ 25, "I16", NO_WEIGHTS },
	{ 26, "I32", NO_WEIGHTS },
	{ 27, "I64", NO_WEIGHTS },
	{ 28, "F64", NO_WEIGHTS },
	{ 31, "Q4_0_4_4", WITHDRAWN("Q4_0") },
	{ 32, "Q4_0_4_8", WITHDRAWN("Q4_0") },
	{ 33, "Q4_0_8_8", WITHDRAWN("Q4_0") },
	{ 36, "IQ4_NL_4_4 or another program's I2_S", WITHDRAWN("another type") },
	{ 37, "IQ4_NL_4_8", WITHDRAWN("IQ4_NL") },
	{ 38, "IQ4_NL_8_8", WITHDRAWN("IQ4_NL") },
	{ 133, "Q6_0", FORK },
	{ 134, "IQ1_BN", FORK },
	{ 135, "IQ2_BN", FORK },
	{ 137, "IQ2_K", FORK },
	{ 138, "IQ3_K", FORK },
	{ 139, "IQ4_K", FORK },
	{ 140, "IQ5_K", FORK },
	{ 141, "IQ6_K", FORK },
	{ 142, "IQ2_TN", FORK },
	{ 144, "IQ4_KS", FORK },
	{ 145, "IQ2_KS", FORK },
	{ 146, "IQ4_KSS", FORK },
	{ 152, "IQ5_KS", FORK },
	{ 153, "IQ2_KT", FORK },
	{ 154, "IQ3_KT", FORK },
	{ 155, "IQ4_KT", FORK },
	{ 156, "IQ3_KS", FORK },
	{ 157, "IQ2_KL", FORK },
	{ 158, "IQ1_KT", FORK },
};

enum { FORK_FIRST = 97, FORK_LAST = 511 }; /* that no other program uses */

const char *gguf_describe_type(uint32_t id, char out[128])
{
	out[0] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].id == id)
			snprintf(out, 128, " (%s, %s)", types[i].name, types[i].what);
	if (!out[0] && id >= FORK_FIRST && id <= FORK_LAST)
		snprintf(out, 128, " (" FORK ")");
	return out;
}
