// SPDX-License-Identifier: MIT
/* Parsing statements: what stands between {% and %}, and everything around it. */
#include "text/template/tree.h"

static struct node *parse_body(struct parser *p, const char *const *ends);

static void end_tag(struct parser *p)
{
	if (p->token->kind != TOKEN_BLOCK_END)
		unexpected(p, "the end of the tag");
	p->token++;
}

/* Up to the tag @end, which is taken in. */
static struct node *parse_until(struct parser *p, const char *end)
{
	const char *const ends[] = { end, NULL };
	struct node *body;

	skip_operator(p, ":");
	end_tag(p);
	body = parse_body(p, ends);
	p->token++;
	return body;
}

/* A body of its own, in which what isn't known is an error. */
static struct node *parse_scope(struct parser *p, const char *end)
{
	const bool soft = p->soft;
	struct node *body;

	p->soft = false;
	body = parse_until(p, end);
	p->soft = soft;
	return body;
}

static struct node *parse_target_name(struct parser *p)
{
	struct node *n = new_node(p, NODE_NAME);

	if (p->token->kind != TOKEN_NAME)
		unexpected(p, "a name");
	if (is_name(p, "true") || is_name(p, "false") || is_name(p, "none") || is_name(p, "True") ||
	    is_name(p, "False") || is_name(p, "None"))
		unexpected(p, "a name that isn't a constant");
	n->symbol = symbol_of(p, p->token->data, p->token->bytes);
	p->token++;
	return n;
}

/* What a value is assigned to: a name, several of them, or an attribute of a namespace. */
static struct node *parse_target(struct parser *p, const char *end, bool attributes)
{
	struct node *n = new_node(p, NODE_TUPLE), **tail = &n->a;
	bool tuple = false;

	nest(p);
	while (!(end && is_name(p, end))) {
		if (skip_operator(p, "(")) {
			*tail = parse_target(p, NULL, attributes);
			expect_operator(p, ")");
		} else {
			*tail = parse_target_name(p);
			if (attributes && is_operator(p, ".")) {
				struct node *attribute = new_node(p, NODE_ATTRIBUTE);

				p->token++;
				if (p->token->kind != TOKEN_NAME)
					unexpected(p, "a name");
				attribute->a = *tail;
				attribute->text =
					new_text(p->j, p->token->data, p->token->bytes, false);
				p->token++;
				*tail = attribute;
			}
		}
		tail = &(*tail)->next;
		if (!skip_operator(p, ","))
			break;
		tuple = true;
		if (is_operator(p, "=") || is_operator(p, ")") || p->token->kind == TOKEN_BLOCK_END)
			break;
	}
	p->nesting--;
	if (!n->a)
		unexpected(p, "a name");
	set_height(p, n);
	return tuple ? n : n->a;
}

static struct node *parse_for(struct parser *p)
{
	static const char *const ends[] = { "endfor", "else", NULL };
	struct node *n = new_node(p, NODE_FOR);
	const bool soft = p->soft;

	p->token++;
	n->a = parse_target(p, "in", false);
	if (!skip_name(p, "in"))
		unexpected(p, "'in'");
	n->b = parse_tuple(p, false, false, "recursive");
	p->soft = false;
	if (skip_name(p, "if"))
		n->c = parse_expression(p);
	n->flag = skip_name(p, "recursive");
	skip_operator(p, ":");
	end_tag(p);
	p->loops++;
	n->body = parse_body(p, ends);
	p->loops--;
	if (skip_name(p, "else"))
		n->other = parse_until(p, "endfor");
	else
		p->token++;
	p->soft = soft;
	return n;
}

static struct node *parse_if(struct parser *p)
{
	static const char *const ends[] = { "elif", "else", "endif", NULL };
	struct node *first = new_node(p, NODE_IF), *n = first, **tail = &first->b;
	const bool soft = p->soft;

	do {
		if (n != first) {
			*tail = n;
			tail = &n->next;
		}
		n->line = p->token->line;
		p->token++;
		p->soft = soft;
		n->a = parse_tuple(p, false, false, NULL);
		p->soft = true;
		skip_operator(p, ":");
		end_tag(p);
		n->body = parse_body(p, ends);
		if (is_name(p, "elif"))
			n = new_node(p, NODE_IF);
	} while (is_name(p, "elif"));
	if (skip_name(p, "else"))
		first->other = parse_until(p, "endif");
	else
		p->token++;
	p->soft = soft;
	return first;
}

static struct node *parse_set(struct parser *p)
{
	struct node *n = new_node(p, NODE_SET);

	p->token++;
	n->a = parse_target(p, NULL, true);
	if (skip_operator(p, "=")) {
		n->b = parse_tuple(p, true, false, NULL);
		return n;
	}
	n->kind = NODE_SET_BLOCK;
	n->b = parse_filters(p, NULL, false);
	n->body = parse_scope(p, "endset");
	return n;
}

static struct node *parse_with(struct parser *p)
{
	struct node *n = new_node(p, NODE_WITH), **target = &n->a, **value = &n->b;

	p->token++;
	while (p->token->kind != TOKEN_BLOCK_END) {
		if (n->a)
			expect_operator(p, ",");
		/* a comma is the next variable's here, so that several names need parentheses */
		if (skip_operator(p, "(")) {
			*target = parse_target(p, NULL, false);
			expect_operator(p, ")");
		} else {
			*target = parse_target_name(p);
		}
		expect_operator(p, "=");
		*value = parse_expression(p);
		target = &(*target)->next;
		value = &(*value)->next;
	}
	n->body = parse_scope(p, "endwith");
	return n;
}

static void parse_parameters(struct parser *p, struct node *macro)
{
	struct node **tail = &macro->a;
	bool defaults = false;

	expect_operator(p, "(");
	while (!is_operator(p, ")")) {
		if (macro->a)
			expect_operator(p, ",");
		*tail = parse_target_name(p);
		if (skip_operator(p, "=")) {
			(*tail)->a = parse_expression(p);
			set_height(p, *tail);
			defaults = true;
		} else if (defaults) {
			unexpected(p,
				   "a default value for each parameter behind the first with one");
		}
		tail = &(*tail)->next;
	}
	p->token++;
}

static void parse_macro_body(struct parser *p, struct node *macro, const char *end)
{
	struct node *outer = p->macro;
	const unsigned loops = p->loops;

	p->macro = macro;
	p->loops = 0;
	macro->body = parse_scope(p, end);
	p->loops = loops;
	p->macro = outer;
	if (outer) { /* what an inner macro asks for, the outer one has to take */
		outer->takes_caller |= macro->takes_caller;
		outer->takes_varargs |= macro->takes_varargs;
		outer->takes_kwargs |= macro->takes_kwargs;
	}
}

static struct node *parse_macro(struct parser *p)
{
	struct node *n = new_node(p, NODE_MACRO);

	p->token++;
	if (p->token->kind == TOKEN_NAME)
		n->text = new_text(p->j, p->token->data, p->token->bytes, false);
	n->symbol = parse_target_name(p)->symbol;
	parse_parameters(p, n);
	parse_macro_body(p, n, "endmacro");
	return n;
}

static struct node *parse_call_block(struct parser *p)
{
	struct node *n = new_node(p, NODE_CALL_BLOCK);

	p->token++;
	n->b = new_node(p, NODE_MACRO);
	if (is_operator(p, "("))
		parse_parameters(p, n->b);
	n->a = parse_expression(p);
	if (n->a->kind != NODE_CALL)
		unexpected(p, "a call of a macro");
	parse_macro_body(p, n->b, "endcall");
	return n;
}

static struct node *parse_filter_block(struct parser *p)
{
	struct node *n = new_node(p, NODE_FILTER_BLOCK);

	p->token++;
	n->b = parse_filters(p, NULL, true);
	n->body = parse_scope(p, "endfilter");
	return n;
}

/* {% generation %} says which text a model is trained on; {% block %} and {% autoescape %} too
 * matter for their scope alone. */
static struct node *parse_scope_tag(struct parser *p, const char *end)
{
	struct node *n = new_node(p, NODE_SCOPE);
	struct template_token *name = NULL;

	p->token++;
	if (!strcmp(end, "endautoescape"))
		parse_expression(p);
	if (!strcmp(end, "endblock")) {
		if (p->token->kind != TOKEN_NAME)
			unexpected(p, "a name");
		name = p->token++;
		n->flag = !skip_name(p, "scoped");
		skip_name(p, "required");
	}
	n->body = parse_scope(p, end);
	if (name && p->token->kind == TOKEN_NAME && p->token->bytes == name->bytes &&
	    !memcmp(p->token->data, name->data, name->bytes))
		p->token++;
	return n;
}

static struct node *parse_print(struct parser *p)
{
	struct node *first = NULL, **tail = &first;

	p->token++;
	while (p->token->kind != TOKEN_BLOCK_END) {
		if (first)
			expect_operator(p, ",");
		*tail = new_node(p, NODE_OUTPUT);
		(*tail)->a = parse_expression(p);
		set_height(p, *tail);
		tail = &(*tail)->next;
	}
	return first;
}

static struct node *parse_jump(struct parser *p, enum node_kind kind)
{
	struct node *n = new_node(p, kind);

	p->j->line = p->token->line;
	if (!p->loops)
		job_fail(p->j, -EINVAL, "'%s' is outside of a loop",
			 kind == NODE_BREAK ? "break" : "continue");
	p->token++;
	return n;
}

static struct node *parse_statement(struct parser *p)
{
	if (is_name(p, "for"))
		return parse_for(p);
	if (is_name(p, "if"))
		return parse_if(p);
	if (is_name(p, "set"))
		return parse_set(p);
	if (is_name(p, "macro"))
		return parse_macro(p);
	if (is_name(p, "with"))
		return parse_with(p);
	if (is_name(p, "call"))
		return parse_call_block(p);
	if (is_name(p, "filter"))
		return parse_filter_block(p);
	if (is_name(p, "generation"))
		return parse_scope_tag(p, "endgeneration");
	if (is_name(p, "autoescape"))
		return parse_scope_tag(p, "endautoescape");
	if (is_name(p, "block"))
		return parse_scope_tag(p, "endblock");
	if (is_name(p, "break"))
		return parse_jump(p, NODE_BREAK);
	if (is_name(p, "continue"))
		return parse_jump(p, NODE_CONTINUE);
	if (is_name(p, "print"))
		return parse_print(p);
	if (p->token->kind != TOKEN_NAME)
		unexpected(p, "a tag's name");
	job_fail(p->j, -EINVAL,
		 is_name(p, "include") || is_name(p, "import") || is_name(p, "from") ||
				 is_name(p, "extends")
			 ? "'%.*s' would read other files, which templates may not"
			 : "there is no tag '%.*s' here",
		 (int)MIN(p->token->bytes, 60u), p->token->data);
}

static bool is_end(const struct parser *p, const char *const *ends)
{
	for (; ends && *ends; ends++)
		if (is_name(p, *ends))
			return true;
	return false;
}

/* Statements up to a tag of @ends, which is the next token then, or up to the template's end. */
static struct node *parse_body(struct parser *p, const char *const *ends)
{
	const uint32_t begin = p->token->line;
	struct node *first = NULL, **tail = &first;

	nest(p);
	for (; p->token->kind != TOKEN_END;) {
		p->j->line = p->token->line;
		if (p->token->kind == TOKEN_DATA) {
			*tail = new_node(p, NODE_DATA);
			(*tail)->text = new_text(p->j, p->token->data, p->token->bytes, false);
			p->token++;
		} else if (p->token->kind == TOKEN_VARIABLE_BEGIN) {
			p->token++;
			*tail = new_node(p, NODE_OUTPUT);
			(*tail)->a = parse_tuple(p, true, false, NULL);
			if (p->token->kind != TOKEN_VARIABLE_END)
				unexpected(p, "the end of the tag");
			p->token++;
		} else {
			p->token++;
			if (is_end(p, ends)) {
				p->nesting--;
				return first;
			}
			*tail = parse_statement(p);
			end_tag(p);
		}
		while (*tail)
			tail = &(*tail)->next;
	}
	if (ends) {
		p->j->line = begin;
		job_fail(p->j, -EINVAL, "the block that begins here has no '%s'",
			 ends[0][0] == 'e' && ends[1] && ends[2] ? ends[2] : ends[0]);
	}
	p->nesting--;
	return first;
}

struct tree *parse(struct job *j)
{
	struct tree *tree = job_alloc(j, sizeof(*tree));
	struct parser p = { .j = j, .token = lex(j), .symbols = new_dict(j), .tree = tree };

	*tree = (struct tree){ 0 };
	tree->caller = symbol_of(&p, "caller", 6);
	tree->varargs = symbol_of(&p, "varargs", 7);
	tree->kwargs = symbol_of(&p, "kwargs", 6);
	tree->loop = symbol_of(&p, "loop", 4);
	tree->body = parse_body(&p, NULL);
	if (p.unknown) {
		j->line = p.unknown->line;
		job_fail(j, -EINVAL, "there is no %s '%.60s'",
			 p.unknown->kind == NODE_FILTER ? "filter" : "test", p.unknown->name);
	}
	tree->symbol_count = (uint32_t)p.symbols->count;
	tree->symbols = job_alloc(j, tree->symbol_count * sizeof(*tree->symbols));
	for (size_t i = 0; i < tree->symbol_count; i++)
		tree->symbols[i] = p.symbols->entries[i].key.text;
	find_missing(j, tree);
	j->steps = 0;
	return tree;
}
