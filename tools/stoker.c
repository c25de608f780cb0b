// SPDX-License-Identifier: MIT
/* The program: finds the verb. */
#include "tool.h"

#include <errno.h>
#include <string.h>

#include "terminal.h"

static const struct verb verbs[] = {
	{ "run", "write text with a model, or hold a conversation", verb_run },
	{ "serve", "answer applications and people by HTTP", verb_serve },
	{ "info", "what a model is and whether it runs here; the devices", verb_info },
	{ "pull", "fetch a model", verb_pull },
	{ "list", "show the models on this machine", verb_list },
	{ "rm", "remove a model that was pulled", verb_rm },
	{ "inspect", "show what a GGUF file holds", verb_inspect },
	{ "tokenize", "text to token ids", verb_tokenize },
	{ "template", "the prompt that a conversation becomes", verb_template },
	{ "grammar", "whether a text follows a grammar", verb_grammar },
	{ "embed", "a vector for each line of text", verb_embed },
	{ "eval", "logits of a list of tokens, for verification", verb_eval },
	{ "perplexity", "how well a model predicts a text", verb_perplexity },
	{ "bench", "measure models and operations", verb_bench },
	{ "plan", "how fast a mixture of experts runs in how much memory", verb_plan },
	{ "replay", "what a routing trace says about paging", verb_replay },
	{ "quantize", "write a model in another tensor format", verb_quantize },
	{ "imatrix", "which columns of a model's matrices matter on a text", verb_imatrix },
	{ "pack", "write a mixture of experts with one read an expert", verb_pack },
	{ "synth", "write a model with random weights, for measuring", verb_synth },
};

static void print_help(FILE *out)
{
	fputs("Usage: stoker VERB [OPTION]... [OPERAND]...\n\n"
	      "Runs quantized language models on this machine.\n\nVerbs:\n",
	      out);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].summary);
	fputs("\n\"stoker VERB --help\" and stoker-VERB(1) tell more.\n", out);
}

/* Output that didn't arrive is a failure of any verb. */
static int finish(int status)
{
	const bool lost = fflush(stdout) || ferror(stdout);

	if (lost && status == EXIT_OK)
		return failf("can't write to standard output: %s",
			     errno ? strerror(errno) : "write error");
	return status == EXIT_INTERRUPTED ? interrupt_status() : status;
}

static int complain_of_verb(const char *name)
{
	struct guess g = { .wrong = name };
	const size_t length = strlen(name);

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		guess_consider(&g, verbs[i].name);
	fprintf(stderr, "stoker: no verb \"%s\"", name);
	if (length > 5 && !strcmp(name + length - 5, ".gguf"))
		fprintf(stderr, "; did you mean \"stoker run %s\"?\n", name);
	else if (g.best)
		fprintf(stderr, "; did you mean \"%s\"?\n", g.best);
	else
		fputs("; \"stoker --help\" lists them\n", stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	prepare_streams();
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return finish(EXIT_OK);
	}
	if (!strcmp(argv[1], "--version")) {
		puts("stoker " STOKER_VERSION);
		return finish(EXIT_OK);
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(argv[1], verbs[i].name))
			return finish(verbs[i].run(argc - 1, argv + 1));
	return complain_of_verb(argv[1]);
}
