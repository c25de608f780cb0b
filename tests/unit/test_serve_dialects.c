// SPDX-License-Identifier: MIT
/* Requests of Anthropic's and Ollama's clients become OpenAI's, or are refused with their place. */
#include "unit.h"

#include <string.h>

#include "serve/problem.h"
#include "serve/translate.h"

typedef struct json_object *(*translation)(struct json_object *body, struct problem *p);

/* Single quotes stand for double ones. */
static struct json_object *parse(const char *text)
{
	char *copy = strdup(text);
	struct json_object *o;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	o = json_tokener_parse(copy);
	if (!o)
		printf("\n    not JSON: %s", copy);
	free(copy);
	return o;
}

static void expect(translation translate, const char *from, const char *to)
{
	struct json_object *body = parse(from), *before = parse(from), *wanted = parse(to), *got;
	struct problem p = { .status = 0 };

	CU_ASSERT_FATAL(body && wanted);
	got = translate(body, &p);
	if (!json_object_equal(got, wanted))
		printf("\n    %s\n    gives  %s%s\n    wanted %s", from,
		       got ? json_object_to_json_string_ext(got, 0) : "", p.message, to);
	CU_ASSERT(json_object_equal(got, wanted));
	CU_ASSERT(json_object_equal(body, before));
	json_object_put(got);
	json_object_put(body);
	json_object_put(before);
	json_object_put(wanted);
}

static void expect_refused(translation translate, const char *from, const char *what)
{
	struct json_object *body = parse(from), *got;
	struct problem p = { .status = 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	got = translate(body, &p);
	if (got || !strstr(p.message, what))
		printf("\n    %s: \"%s\" lacks \"%s\"", from, p.message, what);
	CU_ASSERT_PTR_NULL(got);
	CU_ASSERT_EQUAL(p.status, 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(p.message, what));
	json_object_put(got);
	json_object_put(body);
}

static struct json_object *anthropic(struct json_object *body, struct problem *p)
{
	return anthropic_to_openai(body, p);
}

static struct json_object *chat(struct json_object *body, struct problem *p)
{
	return ollama_chat_to_openai(body, p);
}

/* The kind goes into the object, to be compared. */
static struct json_object *generate(struct json_object *body, struct problem *p)
{
	static const char *const names[] = { "chat", "raw", "infill" };
	enum ollama_kind kind;
	struct json_object *o = ollama_generate_to_openai(body, &kind, p);

	if (o)
		json_object_object_add(o, "kind", json_object_new_string(names[kind]));
	return o;
}

static void test_anthropic_texts(void)
{
	expect(anthropic,
	       "{'model':'m','max_tokens':9,'temperature':0.5,'stream':true,'metadata':{'user_id':'"
	       "u'},"
	       "'stop_sequences':['a','b'],'top_k':3,'messages':[{'role':'user','content':'Hi'}]}",
	       "{'model':'m','max_tokens':9,'temperature':0.5,'stream':true,'stop':['a','b'],"
	       "'top_k':3,'think':false,"
	       "'messages':[{'role':'user','content':'Hi'}]}");
	expect(anthropic,
	       "{'system':'S','messages':[{'role':'user','content':[{'type':'text','text':'a'},"
	       "{'type':'text','text':'b','cache_control':{'type':'ephemeral'}}]}]}",
	       "{'think':false,'messages':[{'role':'system','content':'S'},"
	       "{'role':'user','content':'a\\nb'}]}");
	expect(anthropic,
	       "{'system':[{'type':'text','text':'S'},{'type':'text','text':'T'}],"
	       "'messages':[{'role':'user','content':[{'type':'document','source':{'type':'text',"
	       "'media_type':'text/plain','data':'D'}},{'type':'text','text':'?'}]}]}",
	       "{'think':false,'messages':[{'role':'system','content':'S\\nT'},"
	       "{'role':'user','content':'D\\n?'}]}");
	expect(anthropic, "{'system':'','messages':[{'role':'user','content':''}]}",
	       "{'think':false,'messages':[{'role':'user','content':''}]}");
	expect(anthropic,
	       "{'messages':[{'role':'user','content':'a'},{'role':'assistant','content':[]}]}",
	       "{'think':false,'messages':[{'role':'user','content':'a'}]}");
	/* a NUL inside stays */
	expect(anthropic,
	       "{'messages':[{'role':'user','content':[{'type':'text','text':'a\\u0000b'}]}]}",
	       "{'think':false,'messages':[{'role':'user','content':'a\\u0000b'}]}");
}

static void test_anthropic_tools(void)
{
	expect(anthropic,
	       "{'messages':[{'role':'assistant','content':[{'type':'thinking','thinking':'hm',"
	       "'signature':'s'},{'type':'redacted_thinking','data':'x'},{'type':'text','text':'So'"
	       "},"
	       "{'type':'tool_use','id':'i1','name':'f','input':{'a':'b/c'}},{'type':'tool_use',"
	       "'id':'i2','name':'g'}]},{'role':'user','content':[{'type':'tool_result',"
	       "'tool_use_id':'i1','content':'one'},{'type':'tool_result','tool_use_id':'i2',"
	       "'content':[{'type':'text','text':'tw'},{'type':'text','text':'o'}]},"
	       "{'type':'text','text':'and?'}]}]}",
	       "{'think':false,'messages':[{'role':'assistant','content':'So','reasoning_content':'"
	       "hm',"
	       "'tool_calls':[{'id':'i1','type':'function','function':{'name':'f',"
	       "'arguments':'{\\'a\\':\\'b/c\\'}'}},{'id':'i2','type':'function','function':"
	       "{'name':'g','arguments':'{}'}}]},{'role':'tool','tool_call_id':'i1','content':'one'"
	       "},"
	       "{'role':'tool','tool_call_id':'i2','content':'tw\\no'},{'role':'user','content':'"
	       "and?'"
	       "}]}");
	/* what was said first comes first; a result may be empty */
	expect(anthropic,
	       "{'messages':[{'role':'user','content':[{'type':'text','text':'a'},"
	       "{'type':'tool_result','tool_use_id':'i'}]}]}",
	       "{'think':false,'messages':[{'role':'user','content':'a'},{'role':'tool',"
	       "'tool_call_id':'i','content':''}]}");
	expect(anthropic,
	       "{'messages':[{'role':'user','content':'a'}],'tools':[{'name':'f','description':'d',"
	       "'input_schema':{'type':'object'}},{'type':'custom','name':'g','input_schema':{}}],"
	       "'tool_choice':{'type':'any','disable_parallel_tool_use':true}}",
	       "{'think':false,'messages':[{'role':'user','content':'a'}],'tools':[{'type':'"
	       "function',"
	       "'function':{'name':'f','description':'d','parameters':{'type':'object'}}},"
	       "{'type':'function','function':{'name':'g','parameters':{}}}],"
	       "'tool_choice':'required','parallel_tool_calls':false}");
	expect(anthropic,
	       "{'messages':[{'role':'user','content':'a'}],'tool_choice':{'type':'tool','name':'f'"
	       "}}",
	       "{'think':false,'messages':[{'role':'user','content':'a'}],"
	       "'tool_choice':{'type':'function','function':{'name':'f'}}}");
	expect(anthropic,
	       "{'messages':[{'role':'user','content':'a'}],'tool_choice':{'type':'none'}}",
	       "{'think':false,'messages':[{'role':'user','content':'a'}],'tool_choice':'none'}");
}

#define ONE "'messages':[{'role':'user','content':'a'}]"

static void test_anthropic_thinking(void)
{
	expect(anthropic, "{" ONE ",'thinking':{'type':'enabled','budget_tokens':2000}}",
	       "{" ONE ",'think':true,'thinking_budget_tokens':2000}");
	expect(anthropic, "{" ONE ",'thinking':{'type':'disabled'}}", "{" ONE ",'think':false}");
	expect(anthropic, "{" ONE ",'thinking':{'type':'adaptive'}}", "{" ONE "}");
	expect(anthropic, "{" ONE ",'thinking':null}", "{" ONE ",'think':false}");
	expect(anthropic, "{" ONE ",'output_config':{'effort':'max'}}",
	       "{" ONE ",'reasoning_effort':'xhigh'}");
	expect(anthropic,
	       "{" ONE
	       ",'output_config':{'format':{'type':'json_schema','schema':{'type':'null'}}}}",
	       "{" ONE ",'think':false,'response_format':{'type':'json_schema','json_schema':"
	       "{'schema':{'type':'null'}}}}");
}

static void test_anthropic_refused(void)
{
	static const struct {
		const char *block, *what;
	} blocks[] = {
		{ "7", "messages.0.content.0.type: not a string" },
		{ "{'text':'a'}", "messages.0.content.0.type: not a string" },
		{ "{'type':'text'}", "messages.0.content.0.text: not a string" },
		{ "{'type':'image','source':{}}", "messages.0.content.0: images can't be read" },
		{ "{'type':'document','source':{'type':'base64'}}",
		  "only documents of plain text" },
		{ "{'type':'tool_use','id':'i','name':'f','input':{}}", "in a turn of user" },
		{ "{'type':'tool_result'}", "tool_use_id: not a string" },
		{ "{'type':'tool_result','tool_use_id':'i','content':7}",
		  "messages.0.content.0.content: not a string or a list" },
		{ "{'type':'tool_result','tool_use_id':'i','content':[{'type':'image'}]}",
		  "messages.0.content.0.content.0.type: \"image\" can't" },
		{ "{'type':'server_tool_use'}", "\"server_tool_use\" can't be read" },
	};
	char body[512];

	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		snprintf(body, sizeof(body), "{'messages':[{'role':'user','content':[%s]}]}",
			 blocks[i].block);
		expect_refused(anthropic, body, blocks[i].what);
	}
	expect_refused(anthropic, "{}", "messages: not a list");
	expect_refused(anthropic, "{'messages':[]}", "at least one");
	expect_refused(anthropic, "{'messages':[7]}", "messages.0: not an object");
	expect_refused(anthropic, "{'messages':[{'role':'tool','content':''}]}",
		       "messages.0.role: not");
	expect_refused(anthropic, "{'messages':[{'role':'user'}]}", "messages.0.content: not");
	expect_refused(anthropic, "{'system':7," ONE "}", "system: not a string");
	expect_refused(anthropic, "{'system':[{'type':'image'}]," ONE "}", "system.0.type");
	expect_refused(anthropic,
		       "{'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'i',"
		       "'name':'f','input':'x'}]}]}",
		       "messages.0.content.0.input: not an object");
	expect_refused(anthropic, "{" ONE ",'tools':7}", "tools: not a list");
	expect_refused(anthropic, "{" ONE ",'tools':[{'name':'f'}]}", "tools.0.input_schema");
	expect_refused(anthropic, "{" ONE ",'tools':[{'type':'web_search_20250305','name':'w'}]}",
		       "tools.0.type: \"web_search_20250305\"");
	expect_refused(anthropic, "{" ONE ",'tool_choice':'auto'}", "tool_choice: not an object");
	expect_refused(anthropic, "{" ONE ",'tool_choice':{'type':'some'}}", "tool_choice.type");
	expect_refused(anthropic, "{" ONE ",'tool_choice':{'type':'tool'}}", "tool_choice.name");
	expect_refused(anthropic, "{" ONE ",'thinking':true}", "thinking: not an object");
	expect_refused(anthropic, "{" ONE ",'output_config':{'format':{'type':'text'}}}",
		       "output_config.format.type");
}

static void test_ollama_chat(void)
{
	expect(chat,
	       "{'model':'m'," ONE ",'stream':false,'keep_alive':'5m','options':{'num_predict':7,"
	       "'num_ctx':99,'temperature':0,'seed':3,'stop':['x'],'stream':true,'n':9,'tfs_z':1}}",
	       "{'model':'m'," ONE ",'stream':false,'max_tokens':7,'temperature':0,'seed':3,"
	       "'stop':['x']}");
	expect(chat, "{'options':{'num_predict':-1,'seed':-1},'keep_alive':-1}", "{'messages':[]}");
	expect(chat, "{" ONE ",'format':'json'}",
	       "{" ONE ",'response_format':{'type':'json_object'}}");
	expect(chat, "{" ONE ",'format':''}", "{" ONE "}");
	expect(chat, "{" ONE ",'format':{'type':'null'}}",
	       "{" ONE ",'response_format':{'type':'json_schema','json_schema':{'schema':"
	       "{'type':'null'}}}}");
	expect(chat, "{" ONE ",'think':true}", "{" ONE ",'think':true}");
	expect(chat, "{" ONE ",'think':'high'}",
	       "{" ONE ",'think':true,'reasoning_effort':'high'}");
	/* results find their calls by name, or in their order */
	expect(chat,
	       "{'messages':[{'role':'assistant','content':'','thinking':'hm','tool_calls':["
	       "{'function':{'name':'f','arguments':{'a':1}}},{'function':{'name':'g'}},"
	       "{'id':'mine','function':{'name':'h','arguments':{}}}]},"
	       "{'role':'tool','tool_name':'g','content':'G'},{'role':'tool','content':'F'},"
	       "{'role':'tool','tool_name':'h','content':'H','images':[]},"
	       "{'role':'tool','tool_call_id':'x','content':'?'},{'role':'tool','content':'!'}]}",
	       "{'messages':[{'role':'assistant','content':'','reasoning_content':'hm','tool_calls'"
	       ":["
	       "{'id':'call00000','type':'function','function':{'name':'f','arguments':'{\\'a\\':1}"
	       "'}},"
	       "{'id':'call00001','type':'function','function':{'name':'g','arguments':'{}'}},"
	       "{'id':'mine','type':'function','function':{'name':'h','arguments':'{}'}}]},"
	       "{'role':'tool','content':'G','name':'g','tool_call_id':'call00001'},"
	       "{'role':'tool','content':'F','tool_call_id':'call00000'},"
	       "{'role':'tool','content':'H','name':'h','tool_call_id':'mine'},"
	       "{'role':'tool','content':'?','tool_call_id':'x'},{'role':'tool','content':'!'}]}");
}

static void test_ollama_generate(void)
{
	expect(generate, "{'prompt':'p','system':'s'}",
	       "{'kind':'chat','messages':[{'role':'system','content':'s'},"
	       "{'role':'user','content':'p'}]}");
	expect(generate, "{'prompt':'p','raw':true,'system':'s','template':''}",
	       "{'kind':'raw','prompt':'p'}");
	expect(generate, "{'prompt':'p','suffix':'s','options':{'num_predict':3}}",
	       "{'kind':'infill','input_prefix':'p','input_suffix':'s','max_tokens':3}");
	expect(generate, "{'suffix':''}",
	       "{'kind':'chat','messages':[{'role':'user','content':''}]}");
}

static void test_ollama_refused(void)
{
	expect_refused(chat, "{'messages':7}", "messages: not a list");
	expect_refused(chat, "{'messages':['a']}", "messages.0: not an object");
	expect_refused(chat, "{'messages':[{'role':'x'}]}", "messages.0.role: not");
	expect_refused(chat, "{'messages':[{'role':'user','content':['a']}]}",
		       "messages.0.content: not a string");
	expect_refused(chat, "{'messages':[{'role':'user','content':'a','images':['aGk=']}]}",
		       "messages.0: images can't");
	expect_refused(chat, "{'messages':[{'role':'assistant','tool_calls':[{'name':'f'}]}]}",
		       "messages.0.tool_calls.0.function: not an object");
	expect_refused(chat,
		       "{'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f',"
		       "'arguments':'{}'}}]}]}",
		       "function.arguments: not an object");
	expect_refused(chat, "{" ONE ",'format':'yaml'}", "format: not");
	expect_refused(chat, "{" ONE ",'format':7}", "format: not");
	expect_refused(chat, "{" ONE ",'options':7}", "options: not an object");
	expect_refused(chat, "{" ONE ",'think':7}", "think: not");
	expect_refused(chat, "{" ONE ",'keep_alive':'forever'}", "keep_alive: not");
	expect_refused(chat, "{" ONE ",'keep_alive':{}}", "keep_alive: not");
	expect_refused(generate, "{'prompt':7}", "prompt: not a string");
	expect_refused(generate, "{'prompt':'p','template':'{{ .Prompt }}'}", "template: a model");
	expect_refused(generate, "{'prompt':'p','images':['aGk=']}", "images can't be read");
	expect_refused(generate, "{'prompt':'p','raw':'yes'}", "raw");
}

void suite_serve_dialects(void)
{
	TEST(test_anthropic_texts);
	TEST(test_anthropic_tools);
	TEST(test_anthropic_thinking);
	TEST(test_anthropic_refused);
	TEST(test_ollama_chat);
	TEST(test_ollama_generate);
	TEST(test_ollama_refused);
}
