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
#include "models/part.h"
#include "models/resolve.h"
#include "models/token.h"
#include "progress.h"
#include "terminal.h"
#include "tool.h"

#define NOT_GIVEN UINT64_MAX

struct pull {
	const char *wanted, *token_file, *sha256, *memory, *revision;
	uint64_t connections;
	bool offline, json;

	struct http http;
	struct progress line;
	struct fetches now;
	uint64_t before, all; /* of files that are here, of all; @all 0: not known */
	double began;
	char why[160];
	char hash[SHA256_HEX + 1], commit[COMMIT_MAX]; /* of what was pulled; "": not known */
};

static int show(void *context)
{
	struct pull *p = context;
	const double seconds = now_seconds() - p->began;
	const struct fetches *now = &p->now;
	const uint64_t all = p->all ?: now->bytes, got = p->before + now->got;
	const double rate = seconds > 0 ? (double)now->received / seconds : 0;
	char have[16], total[16], speed[16];

	if (interrupted())
		return 1;
	if (!progress_is_due(&p->line) || !now->now)
		return 0;
	human_size(got, have);
	human_size((uint64_t)rate, speed);
	if (all >= got && all)
		progress_show(&p->line, "pulling: %3.0f %%, %s of %s, %s/s, %.0f s left, %s",
			      100.0 * (double)got / (double)all, have, human_size(all, total),
			      speed, rate > 0 ? (double)(all - got) / rate : 0.0,
			      file_name(now->now));
	else
		progress_show(&p->line, "pulling: %s, %s/s, %s", have, speed, file_name(now->now));
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
				       *p->hash ? json_object_new_string(p->hash) : NULL);
		json_object_object_add(root, "commit",
				       *p->commit ? json_object_new_string(p->commit) : NULL);
		json_object_object_add(root, "received_bytes",
				       json_object_new_int64((int64_t)p->now.received));
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
	char source[HUB_SOURCE_MAX], *path = NULL;
	struct hub_name plain = *name;
	struct found f;

	*plain.revision = 0; /* the hash tells that it is the same */
	names_source(&plain, source);
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
	char *folder = store_folder(), source[HUB_SOURCE_MAX], *path = NULL;

	names_source(name, source);
	if (folder)
		path = store_text("%s/hf/%s/%s", folder, source, file->path);
	free(folder);
	return path;
}

/* Those files of a model that aren't here. */
static int list_files(struct pull *p, const struct hub_name *name, const struct hub_list *list,
		      const struct hub_model *model, struct stoker_error *err)
{
	uint64_t wanted = 0;
	char *path, *url;

	p->now.files = calloc(model->count, sizeof(*p->now.files));
	if (!p->now.files)
		return store_error(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < model->count; i++) {
		const struct hub_file *file = &list->files[model->first + i];
		struct fetch *f = &p->now.files[p->now.count];
		uint64_t there;

		path = hub_path(name, file);
		url = hub_url(&p->http, name, list->commit, file->path);
		if (!path || !url) {
			free(path);
			free(url);
			return store_error(err, -ENOMEM, "no folder for models: HOME isn't set");
		}
		if (have_file(path, file)) {
			p->before += file->bytes;
			free(path);
			free(url);
			continue;
		}
		*f = (struct fetch){
			.url = url, .path = path, .commit = list->commit, .bytes = file->bytes
		};
		memcpy(f->sha256, file->sha256, sizeof(f->sha256));
		p->now.count++;
		there = part_bytes(path);
		if (there < file->bytes)
			wanted = wanted < INT64_MAX ? wanted + file->bytes - there : wanted;
	}
	return p->now.count ? check_space(p, p->now.files[0].path, wanted, err) : 0;
}

static void free_files(struct pull *p)
{
	for (size_t i = 0; i < p->now.count; i++) {
		free((char *)p->now.files[i].url);
		free((char *)p->now.files[i].path);
	}
	free(p->now.files);
	p->now.files = NULL;
	p->now.count = 0;
}

static int fetch_model(struct pull *p, const struct hub_name *name, const struct hub_list *list,
		       const struct hub_model *model, struct stoker_error *err)
{
	int ret = list_files(p, name, list, model, err);

	if (!ret && p->now.count)
		ret = fetch_files(&p->http, &p->now, err);
	progress_end(&p->line);
	free_files(p);
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
		memcpy(p->hash, list.files[model->first].sha256, sizeof(p->hash));
	if (!ret) {
		memcpy(p->commit, list.commit, sizeof(p->commit));
		ret = report(p, path, model->bytes, !p->now.received);
	}
	free(path);
	hub_free(&list);
	return ret;
}

/* hub/OWNER/REPO/resolve/REVISION/FILE is "hf:OWNER/REPO@REVISION:FILE", which also tells its hash.
 */
static bool is_of_hub(const struct pull *p, struct hub_name *name)
{
	char *path = http_same_origin(p->wanted, p->http.hub) ? http_path(p->wanted) : NULL,
	     way[10] = "", *text = NULL;
	int end = 0;
	bool is = false;

	if (path &&
	    sscanf(path, "%99[^/]/%99[^/]/%9[^/]/%99[^/]/%n", name->owner, name->repo, way,
		   name->revision, &end) == 4 &&
	    end && (!strcmp(way, "resolve") || !strcmp(way, "blob"))) {
		text = store_text("hf:%s/%s@%s:%s", name->owner, name->repo, name->revision,
				  file_name(path));
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

/* Whether what is at @path is what is wanted: -EEXIST when it's something else. */
static int check_there(struct pull *p, const char *path, const char *hash, struct stoker_error *err)
{
	struct store_record record;
	int ret = 0;

	if (!store_load_record(path, &record))
		return store_error(err, -EEXIST, "%s is there and wasn't pulled", path);
	if (!store_same_url(record.url, p->wanted))
		ret = store_error(err, -EEXIST, "%s is from %s; \"stoker rm\" makes room", path,
				  record.url);
	else if (*hash && strcmp(hash, record.sha256) != 0)
		ret = store_error(err, -EEXIST, "%s has SHA-256 %s", path, record.sha256);
	memcpy(p->hash, record.sha256, sizeof(p->hash));
	store_free_record(&record);
	return ret;
}

static int fetch_address(struct pull *p, const char *path, const char *hash,
			 struct stoker_error *err)
{
	struct fetch file = { .url = p->wanted, .path = path };
	unsigned number, of;
	int ret;

	memcpy(file.sha256, hash, sizeof(file.sha256));
	p->now.files = &file;
	p->now.count = 1;
	ret = fetch_files(&p->http, &p->now, err);
	p->now.files = NULL;
	p->now.count = 0;
	progress_end(&p->line);
	memcpy(p->hash, file.sha256, sizeof(p->hash));
	if (!ret && store_split(path, &number, &of))
		fprintf(stderr, "stoker: that is file %u of %u; pull the others, too\n", number,
			of);
	return ret ? ret : report(p, path, file.bytes, false);
}

static int pull_url(struct pull *p, struct stoker_error *err)
{
	char hash[SHA256_HEX + 1] = "", *path;
	struct stat st;
	int ret = http_check_url(p->wanted, NULL, err);

	if (ret)
		return ret;
	path = url_path(p, err);
	if (!path)
		return -EPERM;
	if (p->sha256)
		store_hash(p->sha256, hash);
	if (stat(path, &st)) {
		ret = fetch_address(p, path, hash, err);
	} else {
		ret = check_there(p, path, hash, err);
		if (!ret)
			ret = report(p, path, (uint64_t)st.st_size, true);
	}
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

/* "hf:OWNER/REPO@REVISION" of the name and --revision; NULL when there is one already. */
static char *with_revision(const char *name, const char *revision)
{
	const int length = (int)(3 + strcspn(name + 3, ":"));

	return strchr(name, '@') ? NULL
				 : store_text("%.*s@%s%s", length, name, revision, name + length);
}

static int pull_one(struct pull *p)
{
	struct stoker_error err;
	struct hub_name name;
	int ret = hasher_open(&err);

	if (!ret)
		ret = http_open(&p->http, &err);
	if (ret)
		return fail(&err);
	signal(SIGXFSZ, SIG_IGN); /* a limit on files' sizes is an error of write() */
	signal(SIGPIPE, SIG_IGN); /* and so is a server that goes away */
	cancel_on_interrupt(NULL);
	progress_begin(&p->line);
	p->http.tick = show;
	p->http.context = p;
	p->now.all_at_once = p->connections != NOT_GIVEN;
	p->now.connections = p->now.all_at_once ? (unsigned)p->connections : USUAL_CONNECTIONS;
	p->began = now_seconds();
	if (names_is_hub(p->wanted))
		ret = names_parse_hub(p->wanted, &name)
			      ? pull_hub(p, &name, &err)
			      : store_error(&err, -EPERM,
					    "\"%s\" is no name: hf:OWNER/REPO, "
					    "hf:OWNER/REPO@REVISION or hf:OWNER/REPO:QUANT",
					    p->wanted);
	else if (is_of_hub(p, &name))
		ret = pull_hub(p, &name, &err);
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

	if (check && (p->sha256 || p->memory || p->token_file || p->revision))
		return "--check goes with names alone";
	if (!check && operands != 1)
		return "one NAME is needed: hf:OWNER/REPO, hf:OWNER/REPO:QUANT, or an https "
		       "address";
	if (p->sha256 && !store_hash(p->sha256, hash))
		return "--sha256 takes 64 hexadecimal digits";
	if (p->sha256 && names_is_hub(p->wanted))
		return "--sha256 is for addresses, the hub tells it by itself";
	if (p->revision && !names_is_hub(p->wanted))
		return "--revision goes with hf:OWNER/REPO";
	if (!p->connections || (p->connections != NOT_GIVEN && p->connections > MOST_CONNECTIONS))
		return "--parallel takes 1 to 16";
	if (p->memory && !parse_size(p->memory))
		return "--memory takes a size: " SIZES;
	if (!check && !names_is_hub(p->wanted) && !strstr(p->wanted, "://"))
		return "NAME is hf:OWNER/REPO, hf:OWNER/REPO:QUANT, or an https address";
	return NULL;
}

int verb_pull(int argc, char **argv)
{
	struct pull p = { .offline = hub_offline(), .connections = NOT_GIVEN };
	bool check = false;
	const struct option options[] = {
		{ "memory", 0, OPTION_STRING, &p.memory, "SIZE",
		  "choose a quantization for this much memory (what is available)" },
		{ "revision", 0, OPTION_STRING, &p.revision, "NAME",
		  "a branch, tag or commit of the repository, as hf:OWNER/REPO@NAME (main)" },
		{ "parallel", 0, OPTION_UINT, &p.connections, "N",
		  "connections at once, 1 to 16 (as many as make it faster, up to 8)" },
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
				     "hf:OWNER/REPO:QUANT; hf:OWNER/REPO@REVISION of another "
				     "branch than main; or the GGUF file at "
				     "an https address. What was interrupted goes on where it was.",
				     options, 0, 1000 };
	const char *wrong;
	char *named = NULL;
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
	if (p.revision) {
		named = with_revision(p.wanted, p.revision);
		if (!named)
			return failf("%s names a revision already", p.wanted);
		p.wanted = named;
	}
	if (check)
		return pull_check(argv + 1, (size_t)operands, p.json);
	if (p.offline) {
		status = find_offline(&p);
	} else {
		p.http.hub = hub_endpoint();
		status = p.http.hub && hub_token(p.token_file, &p.http.token) ? pull_one(&p)
									      : EXIT_FAILED;
		free(p.http.token);
		free(p.http.hub);
	}
	free(named);
	return status;
}
