/* SPDX-License-Identifier: MIT */
/* The options of stoker serve; those about models are in models_options.h. */
#ifndef STOKER_SERVE_OPTIONS_H
#define STOKER_SERVE_OPTIONS_H

#include "serve/models_options.h"
#include "tool.h"

struct serve_options {
	const char *host, *socket, *api_key_file, *log_prompts;
	struct string_list allowed_hosts; /* beside those that are ours */
	struct string_list allowed_origins;
	uint64_t port;
	bool insecure;
	struct models_options models;
};

/* clang-format off */
#define SERVE_OPTIONS(o)                                                                           \
	{ "host", 0, OPTION_STRING, &(o)->host, "ADDRESS", "listen on this address (127.0.0.1)" }, \
	{ "port", 0, OPTION_UINT, &(o)->port, "N", "and port (8080), 0: any free one" },           \
	{ "socket", 0, OPTION_STRING, &(o)->socket, "PATH", "listen on a Unix socket instead" },   \
	{ "api-key-file", 0, OPTION_STRING, &(o)->api_key_file, "FILE",                            \
	  "only who has one of its lines as a key may ask" },                                      \
	{ "insecure", 0, OPTION_FLAG, &(o)->insecure, NULL,                                        \
	  "be there for other machines without a key" },                                           \
	{ "allow-host", 0, OPTION_LIST, &(o)->allowed_hosts, "NAME",                               \
	  "answer to this name, too; may be given several times" },                                \
	{ "allow-origin", 0, OPTION_LIST, &(o)->allowed_origins, "URL",                            \
	  "pages from there may ask, too, such as https://example.org; several times" },           \
	{ "log-prompts", 0, OPTION_STRING, &(o)->log_prompts, "FILE",                              \
	  "write down what is asked and answered" }
/* clang-format on */

#endif
