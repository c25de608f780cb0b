// SPDX-License-Identifier: MIT
/* stoker pull: models from the hub or any https address into our store. */
#include "models/pull.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "models/fetch.h"
#include "models/hub.h"
#include "models/outlook.h"
#include "models/resolve.h"
#include "models/token.h"
#include "progress.h"
#include "terminal.h"
#include "tool.h"

struct pull {
	const char *wanted, *token_file, *sha256, *memory;
	bool offline, json;

	struct http http;
	struct progress line;
	struct fetch now;
	uint64_t before, all; /* of files that are done, of all; @all 0: not known */
	uint64_t received;
	double began;
	char why[160];
};

static int show(void *context)
{
	struct pull *p = context;
	const double seconds = now_seconds() - p->began;
	const uint64_t all = p->all ?: p->now.bytes, got = p->before + p->now.got;
	const double rate = seconds > 0 ? (double)(p->received + p->now.received) / seconds : 0;
	char have[16], total[16], speed[16];

	if (interrupted())
		return 1;
	if (!progress_is_due(&p->line) || !p->now.path)
		return 0;
	human_size(got, have);
	human_size((uint64_t)rate, speed);
	if (all)
		progress_show(&p->line, "pulling: %3.0f %%, %s of %s, %s/s, %.0f s left, %s",
			      100.0 * (double)got / (double)all, have, human_size(all, total),
			      speed, rate > 0 ? (double)(all - got) / rate : 0.0,
			      file_name(p->now.path));
	else
		progress_show(&p->line, "pulling: %s, %s/s, %s", have, speed,
			      file_name(p->now.path));
	return 0;
}

static int report(struct pull *p, const char *path, uint64_t bytes, bool here)
{
	const double seconds = now_seconds() - p->began;
	char size[16], *stem = names_stem(path);
	int status = EXIT_OK;

	if (p->json) {
		struct json_object *root = json_object_new_object();

		json_object_object_add(root, "name", json_object_new_string(stem ? stem : ""));
		json_object_object_add(root, "path", json_object_new_string(path));
		json_object_object_add(root, "bytes", json_object_new_int64((int64_t)bytes));
		json_object_object_add(root, "sha256",
				       *p->now.sha256 ? json_object_new_string(p->now.sha256)
						      : NULL);
		json_object_object_add(root, "received_bytes",
				       json_object_new_int64((int64_t)p->received));
		json_object_object_add(root, "seconds", json_object_new_double(seconds));
		json_object_object_add(root, "was_here", json_object_new_boolean(here));
		json_object_object_add(root, "chosen",
				       *p->why ? json_object_new_string(p->why) : NULL);
		status = print_json(stdout, root);
	} else {
		char *line = store_text("%s: %s%s, %s", stem ? stem : path,
					here ? "here already, " : "", human_size(bytes, size),
					path);

		if (line)
			show_text(stdout, line, strlen(line));
		putchar('\n');
		free(line);
	}
	free(stem);
	return status;
}

/* 0 once the file is in the store; -errno as fetch_file(). */
static int fetch_one(struct pull *p, const char *url, const char *path, uint64_t bytes,
		     const char *sha256, struct stoker_error *err)
{
	int ret;

	p->now = (struct fetch){ .url = url, .path = path, .bytes = bytes };
	memcpy(p->now.sha256, sha256, sizeof(p->now.sha256));
	ret = fetch_file(&p->http, &p->now, err);
	p->received += p->now.received;
	p->before += p->now.got;
	return ret;
}

/* Whether the store has just that file. */
static bool have_file(const char *path, const struct hub_file *file)
{
	struct store_record record;
	struct stat st;
	bool same;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != file->bytes)
		return false;
	same = store_load_record(path, &record) &&
	       (!*file->sha256 || !strcmp(record.sha256, file->sha256));
	store_free_record(&record);
	return same;
}

/* The hub's own cache names its blobs by their hash. */
static char *have_in_cache(const struct hub_name *name, const struct hub_list *list,
			   const struct hub_model *model)
{
	char source[210], *path = NULL;
	struct found f;

	snprintf(source, sizeof(source), "%s/%s", name->owner, name->repo);
	found_scan(&f);
	for (size_t i = 0; !path && i < f.count; i++) {
		const struct found_model *m = &f.models[i];
		char *blob = m->kind == STORE_HUB ? realpath(m->path, NULL) : NULL;

		if (blob && m->source && !strcasecmp(m->source, source) &&
		    m->bytes == model->bytes &&
		    !strcmp(file_name(blob), list->files[model->first].sha256))
			path = strdup(m->path);
		free(blob);
	}
	found_free(&f);
	return path;
}

static uint64_t part_bytes(const char *path)
{
	char *part = fetch_part(path);
	struct stat st;
	const uint64_t bytes = part && !stat(part, &st) ? (uint64_t)st.st_size : 0;

	free(part);
	return bytes;
}

/* Asked before the first byte, for all files together. */
static int check_space(struct pull *p, const char *path, uint64_t wanted, struct stoker_error *err)
{
	char *folder = strdup(path), more[16], left[16];
	struct statvfs v;
	int ret = folder ? store_make_folders(path, err) : -ENOMEM;

	if (!ret) {
		*strrchr(folder, '/') = 0;
		if (!statvfs(folder, &v) && wanted > (uint64_t)v.f_bavail * v.f_frsize)
			ret = store_error(err, -ENOSPC, "%s takes %s more, %s has %s left",
					  p->wanted, human_size(wanted, more), folder,
					  human_size((uint64_t)v.f_bavail * v.f_frsize, left));
	}
	free(folder);
	return ret;
}

static char *hub_path(const struct hub_name *name, const struct hub_file *file)
{
	char *folder = store_folder(), *path = NULL;

	if (folder)
		path = store_text("%s/hf/%s/%s/%s", folder, name->owner, name->repo, file->path);
	free(folder);
	return path;
}

static int fetch_model(struct pull *p, const struct hub_name *name, const struct hub_list *list,
		       const struct hub_model *model, struct stoker_error *err)
{
	uint64_t wanted = 0;
	int ret = 0;

	for (unsigned round = 0; round < 2 && !ret; round++)
		for (size_t i = 0; !ret && i < model->count; i++) {
			const struct hub_file *file = &list->files[model->first + i];
			char *path = hub_path(name, file),
			     *url = hub_url(&p->http, name, file->path);

			if (!path || !url)
				ret = store_error(err, -ENOMEM,
						  "no folder for models: HOME isn't set");
			else if (have_file(path, file))
				p->before += round ? file->bytes : 0;
			else if (round)
				ret = fetch_one(p, url, path, file->bytes, file->sha256, err);
			else
				wanted += file->bytes - (part_bytes(path) < file->bytes
								 ? part_bytes(path)
								 : file->bytes);
			if (!round && !ret && i + 1 == model->count && wanted)
				ret = check_space(p, path, wanted, err);
			free(url);
			free(path);
		}
	return ret;
}

/* Names in a repository are other people's. */
static void say_choice(const char *stem, const char *why)
{
	fputs("stoker: ", stderr);
	put_visible(stderr, stem, strlen(stem));
	fprintf(stderr, ": %s\n", why);
}

/* The parts of a split model were right one by one; whether they're a model shows together. */
static int check_parts(const char *path, struct stoker_error *err)
{
	struct stoker_gguf *gguf = NULL;
	struct stoker_error why;
	const int ret = stoker_gguf_open(path, &gguf, &why);

	stoker_gguf_close(&gguf);
	return ret ? store_error(err, ret, "what the hub has is no model: %.400s", why.message) : 0;
}

static int pull_hub(struct pull *p, const struct hub_name *name, struct stoker_error *err)
{
	const uint64_t memory = *name->quant ? 0
				: p->memory  ? parse_size(p->memory)
					     : available_memory();
	const struct hub_model *model;
	struct hub_list list;
	char *path = NULL;
	int ret = hub_list(&p->http, name, &list, err);

	if (ret)
		return ret;
	model = hub_choose(&list, name, memory, p->why, err);
	ret = model ? 0 : -ENOENT;
	if (!ret && *p->why)
		say_choice(model->stem, p->why);
	if (!ret) {
		p->all = model->bytes;
		path = have_in_cache(name, &list, model);
		if (!path) {
			ret = fetch_model(p, name, &list, model, err);
			path = hub_path(name, &list.files[model->first]);
		}
		if (!ret && path && model->count > 1)
			ret = check_parts(path, err);
	}
	progress_end(&p->line);
	if (!ret && model->count == 1)
		memcpy(p->now.sha256, list.files[model->first].sha256, sizeof(p->now.sha256));
	else
		p->now.sha256[0] = 0;
	if (!ret)
		ret = report(p, path, model->bytes, !p->received);
	free(path);
	hub_free(&list);
	return ret;
}

/* hub/OWNER/REPO/resolve/main/FILE is "hf:OWNER/REPO:FILE", which also tells its hash. */
static bool is_of_hub(const struct pull *p, struct hub_name *name)
{
	char *path = http_same_origin(p->wanted, p->http.hub) ? http_path(p->wanted) : NULL,
	     way[10] = "", *text = NULL;
	int end = 0;
	bool is = false;

	if (path &&
	    sscanf(path, "%99[^/]/%99[^/]/%9[^/]/main/%n", name->owner, name->repo, way, &end) ==
		    3 &&
	    end && (!strcmp(way, "resolve") || !strcmp(way, "blob"))) {
		text = store_text("hf:%s/%s:%s", name->owner, name->repo, file_name(path));
		is = text && names_parse_hub(text, name);
	}
	free(text);
	free(path);
	return is;
}

static char *url_path(struct pull *p, struct stoker_error *err)
{
	char *folder = store_folder(), *host = http_host(p->wanted), *file = http_path(p->wanted),
	     *path = NULL;

	if (!folder)
		store_error(err, -ENOENT, "no folder for models: HOME isn't set");
	else if (!host || !file || !store_is_gguf(file) || !store_safe_path(file) ||
		 !store_safe_path(host))
		store_error(err, -EPERM, "%s: its path doesn't end in the name of a .gguf file",
			    p->wanted);
	else if (!(path = store_text("%s/url/%s/%s", folder, host, file)))
		store_error(err, -ENOMEM, "out of memory");
	free(file);
	free(host);
	free(folder);
	return path;
}

static int pull_url(struct pull *p, struct stoker_error *err)
{
	char hash[SHA256_HEX + 1] = "", *path;
	struct store_record record;
	unsigned number, of;
	struct stat st;
	int ret = http_check_url(p->wanted, NULL, err);

	if (ret)
		return ret;
	path = url_path(p, err);
	if (!path)
		return -EPERM;
	if (p->sha256)
		store_hash(p->sha256, hash);
	if (!stat(path, &st) && store_load_record(path, &record)) {
		if (!store_same_url(record.url, p->wanted))
			ret = store_error(err, -EEXIST, "%s is from %s; \"stoker rm\" makes room",
					  path, record.url);
		else if (*hash && strcmp(hash, record.sha256) != 0)
			ret = store_error(err, -EEXIST, "%s has SHA-256 %s", path, record.sha256);
		memcpy(p->now.sha256, record.sha256, sizeof(p->now.sha256));
		store_free_record(&record);
		if (!ret)
			ret = report(p, path, (uint64_t)st.st_size, true);
		free(path);
		return ret;
	}
	ret = fetch_one(p, p->wanted, path, 0, hash, err);
	progress_end(&p->line);
	if (!ret && store_split(path, &number, &of))
		fprintf(stderr, "stoker: that is file %u of %u; pull the others, too\n", number,
			of);
	if (!ret)
		ret = report(p, path, p->now.got, false);
	free(path);
	return ret;
}

static int find_offline(struct pull *p)
{
	const struct found_model *m, *other;
	struct found f;
	int status;

	found_scan(&f);
	m = resolve_find(&f, p->wanted, &other);
	status = m ? report(p, m->path, m->bytes, true)
		   : failf("%s isn't on this machine, and nothing is fetched offline", p->wanted);
	found_free(&f);
	return status;
}

static int pull_one(struct pull *p)
{
	struct stoker_error err;
	struct hub_name name;
	int ret = http_open(&p->http, &err);

	if (ret)
		return fail(&err);
	signal(SIGXFSZ, SIG_IGN); /* a limit on files' sizes is an error of write() */
	cancel_on_interrupt(NULL);
	progress_begin(&p->line);
	p->http.tick = show;
	p->http.context = p;
	p->began = now_seconds();
	if (names_is_hub(p->wanted) || is_of_hub(p, &name))
		ret = (names_is_hub(p->wanted) && !names_parse_hub(p->wanted, &name))
			      ? store_error(
					&err, -EPERM,
					"\"%s\" is no name: hf:OWNER/REPO or hf:OWNER/REPO:QUANT",
					p->wanted)
			      : pull_hub(p, &name, &err);
	else
		ret = pull_url(p, &err);
	progress_end(&p->line);
	http_close(&p->http);
	if (ret == -ECANCELED)
		return EXIT_INTERRUPTED;
	return ret < 0 ? fail(&err) : ret;
}

/* What is wrong with the command line, or NULL. */
static const char *complaint(const struct pull *p, int operands, bool check)
{
	char hash[SHA256_HEX + 1];

	if (check && (p->sha256 || p->memory || p->token_file))
		return "--check goes with names alone";
	if (!check && operands != 1)
		return "one NAME is needed: hf:OWNER/REPO, hf:OWNER/REPO:QUANT, or an https "
		       "address";
	if (p->sha256 && !store_hash(p->sha256, hash))
		return "--sha256 takes 64 hexadecimal digits";
	if (p->sha256 && names_is_hub(p->wanted))
		return "--sha256 is for addresses, the hub tells it by itself";
	if (p->memory && !parse_size(p->memory))
		return "--memory takes a size: " SIZES;
	if (!check && !names_is_hub(p->wanted) && !strstr(p->wanted, "://"))
		return "NAME is hf:OWNER/REPO, hf:OWNER/REPO:QUANT, or an https address";
	return NULL;
}

int verb_pull(int argc, char **argv)
{
	struct pull p = { .offline = hub_offline() };
	bool check = false;
	const struct option options[] = {
		{ "memory", 0, OPTION_STRING, &p.memory, "SIZE",
		  "choose a quantization for this much memory (what is available)" },
		{ "token-file", 0, OPTION_STRING, &p.token_file, "FILE",
		  "the hub's token for what isn't public ($HF_TOKEN)" },
		{ "sha256", 0, OPTION_STRING, &p.sha256, "HASH", "what an address has to give" },
		{ "offline", 0, OPTION_FLAG, &p.offline, NULL,
		  "fetch nothing, only look whether it's here" },
		{ "check", 0, OPTION_FLAG, &check, NULL,
		  "hash what was pulled again, all of it or by NAME" },
		{ "json", 0, OPTION_FLAG, &p.json, NULL, "print JSON" },
		{ 0 },
	};
	const struct usage usage = { "pull [OPTION]... NAME | --check [NAME]...",
				     "Fetches a model: hf:OWNER/REPO from the Hugging Face hub, of "
				     "which the quantization is "
				     "taken that fits this machine, or the one of "
				     "hf:OWNER/REPO:QUANT; or the GGUF file at "
				     "an https address. What was interrupted goes on where it was.",
				     options, 0, 1000 };
	const char *wrong;
	int status;
	const int operands = parse_options(&usage, argc, argv, &status);

	if (operands < 0)
		return status;
	p.wanted = operands ? argv[1] : "";
	wrong = complaint(&p, operands, check);
	if (wrong) {
		failf("%s", wrong);
		return EXIT_USAGE;
	}
	if (check)
		return pull_check(argv + 1, (size_t)operands, p.json);
	if (p.offline)
		return find_offline(&p);
	p.http.hub = hub_endpoint();
	status = p.http.hub && hub_token(p.token_file, &p.http.token) ? pull_one(&p) : EXIT_FAILED;
	free(p.http.token);
	free(p.http.hub);
	return status;
}
