/*
 * scenarios.c - what is asked, and what a right answer is.
 *
 * The simulator's rules (docs/simulator.md) say what its models answer: texts quote the question, a tool is called when the question names it,
 * a tool's result is quoted, schemas are followed.
 */
#include <stdio.h>
#include <string.h>

#include "codec/json_tree.h"
#include "conformance/conformance.h"

#define TIDE_SCHEMA                                                                                                    \
    STR("{\"type\":\"object\",\"properties\":{\"port\":{\"type\":\"string\"}},\"required\":[\"port\"],"                \
        "\"additionalProperties\":false}")
/* A red dot. */
#define PNG STR("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")

/* --- asking --- */

static struct turn *say(struct cell *c, enum chat_role role, const char *text)
{
    struct turn *t = chat_add_turn(&c->request, &c->arena, role, JSON_ABSENT);

    chat_add_block(&t->blocks, &c->arena, BLOCK_TEXT, JSON_ABSENT)->text = str_from_c(text);
    return t;
}

static void limit(struct cell *c, const char *tokens)
{
    c->request.max_output.text = str_from_c(tokens);
}

static void ask_plain(struct cell *c)
{
    say(c, CHAT_USER, "Tell me about harbours.");
    limit(c, "200");
}

static void ask_stream(struct cell *c)
{
    ask_plain(c);
    c->request.stream = true;
    c->request.include_usage = true;
}

static void ask_turns(struct cell *c)
{
    say(c, CHAT_USER, "My name is Ada.");
    say(c, CHAT_ASSISTANT, "Hello Ada.");
    say(c, CHAT_USER, "Tell me about harbours.");
    limit(c, "200");
}

static void ask_system(struct cell *c)
{
    say(c, CHAT_SYSTEM, "Answer briefly.");
    ask_turns(c);
}

static void ask_settings(struct cell *c)
{
    ask_plain(c);
    c->request.temperature.text = STR("0.5");
}

static void add_tool(struct cell *c, const char *name)
{
    struct tool *t = chat_add_tool(&c->request, &c->arena, TOOL_FUNCTION, JSON_ABSENT);

    t->name = str_from_c(name);
    t->description = STR("Look it up.");
    t->parameters = TIDE_SCHEMA;
}

static void ask_tool(struct cell *c)
{
    say(c, CHAT_USER, "Please call get_tide for Brest.");
    add_tool(c, "get_tide");
    limit(c, "400");
}

static void ask_tool_stream(struct cell *c)
{
    ask_tool(c);
    c->request.stream = true;
    c->request.include_usage = true;
}

static void ask_tools(struct cell *c)
{
    say(c, CHAT_USER, "Please call get_tide and get_wind for Brest.");
    add_tool(c, "get_tide");
    add_tool(c, "get_wind");
    limit(c, "400");
}

static void ask_forced(struct cell *c)
{
    say(c, CHAT_USER, "Hello there.");
    add_tool(c, "get_tide");
    add_tool(c, "get_wind");
    c->request.tool_choice.kind = CHOICE_NAMED;
    c->request.tool_choice.name = STR("get_wind");
    limit(c, "400");
}

static void ask_schema(struct cell *c)
{
    say(c, CHAT_USER, "Name a port.");
    c->request.format.kind = FORMAT_SCHEMA;
    c->request.format.name = STR("port");
    c->request.format.schema = TIDE_SCHEMA;
    c->request.format.strict = YES;
    limit(c, "400");
}

static void add_image(struct cell *c, struct block **to)
{
    struct block *b = chat_add_block(to, &c->arena, BLOCK_IMAGE, JSON_ABSENT);

    b->media = (struct media){.source = MEDIA_BASE64, .type = STR("image/png"), .data = PNG};
}

static void ask_image(struct cell *c)
{
    struct turn *t = say(c, CHAT_USER, "What is in this picture?");

    add_image(c, &t->blocks);
    limit(c, "200");
}

static struct block *add_call(struct cell *c, struct turn *t, const char *id, const char *name)
{
    struct block *b = chat_add_block(&t->blocks, &c->arena, BLOCK_TOOL_CALL, JSON_ABSENT);

    b->id = str_from_c(id);
    b->name = str_from_c(name);
    b->arguments = STR("{\"port\":\"Brest\"}");
    return b;
}

static struct block *add_result(struct cell *c, struct turn *t, struct str id, struct str name, const char *text)
{
    struct block *b = chat_add_block(&t->blocks, &c->arena, BLOCK_TOOL_RESULT, JSON_ABSENT);

    b->id = id;
    b->name = name;
    chat_add_block(&b->content, &c->arena, BLOCK_TEXT, JSON_ABSENT)->text = str_from_c(text);
    return b;
}

/* A history that another provider made: ids of any form. */
static void ask_result(struct cell *c)
{
    say(c, CHAT_USER, "How is the tide, and the wind?");
    struct turn *calls = chat_add_turn(&c->request, &c->arena, CHAT_ASSISTANT, JSON_ABSENT);
    add_call(c, calls, "call_one", "get_tide");
    add_call(c, calls, "call_two", "get_wind");
    struct turn *results = chat_add_turn(&c->request, &c->arena, CHAT_USER, JSON_ABSENT);
    add_result(c, results, STR("call_one"), STR("get_tide"), "3.2 metres");
    add_result(c, results, STR("call_two"), STR("get_wind"), "12 knots");
    add_tool(c, "get_tide");
    add_tool(c, "get_wind");
    limit(c, "400");
}

static void ask_result_image(struct cell *c)
{
    say(c, CHAT_USER, "How does it look?");
    struct turn *call = chat_add_turn(&c->request, &c->arena, CHAT_ASSISTANT, JSON_ABSENT);
    add_call(c, call, "call_one", "get_tide");
    struct turn *result = chat_add_turn(&c->request, &c->arena, CHAT_USER, JSON_ABSENT);
    struct block *b = add_result(c, result, STR("call_one"), STR("get_tide"), "see the picture");
    add_image(c, &b->content);
    add_tool(c, "get_tide");
    limit(c, "400");
}

static void ask_thinking(struct cell *c)
{
    ask_tool(c);
    limit(c, "40000");
    c->request.reasoning.on = YES;
    c->request.reasoning.effort = EFFORT_LOW;
    c->request.reasoning.budget = -1;
    c->request.reasoning.show = YES;
}

static void ask_thinking_stream(struct cell *c)
{
    ask_thinking(c);
    c->request.stream = true;
    c->request.include_usage = true;
}

static void ask_stop(struct cell *c)
{
    struct setting *stop = arena_new(&c->arena, struct setting);

    ask_plain(c);
    stop->text = STR("harbours");
    c->request.stops = stop;
    c->request.stop_count = 1;
}

static void ask_short(struct cell *c)
{
    ask_plain(c);
    limit(c, "16"); /* the least that every dialect takes */
}

static void ask_several(struct cell *c)
{
    ask_plain(c);
    c->request.n.text = STR("3");
}

/* --- judging --- */

static struct str text_of(const struct cell *c)
{
    return c->answer.choice_count
               ? blocks_text(c->answer.choices[0].blocks, STR(""), (struct arena *)(uintptr_t)&c->arena)
               : STR_NONE;
}

static bool has_finish(struct cell *c, enum finish want)
{
    enum finish got = c->answer.choice_count ? c->answer.choices[0].finish : FINISH_PAUSE;

    return got == want || cell_wrong(c, "finish %d, not %d", (int)got, (int)want);
}

static bool is_text(struct cell *c)
{
    if (!text_of(c).n)
        return cell_wrong(c, "no text");
    return has_finish(c, FINISH_STOP);
}

static bool is_counted(struct cell *c)
{
    if (!c->answer.usage.known || !c->answer.usage.input || !c->answer.usage.output)
        return cell_wrong(c, "usage %llu in, %llu out", (unsigned long long)c->answer.usage.input,
                          (unsigned long long)c->answer.usage.output);
    return is_text(c);
}

static size_t count_calls(const struct cell *c, const char *name)
{
    size_t n = 0;

    for (const struct block *b = c->answer.choice_count ? c->answer.choices[0].blocks : NULL; b; b = b->next)
        n += b->kind == BLOCK_TOOL_CALL && b->id.n && (!name || str_eq(b->name, str_from_c(name)));
    return n;
}

static bool has_arguments(struct cell *c)
{
    const struct json_tree *tree;

    for (const struct block *b = c->answer.choices[0].blocks; b; b = b->next) {
        if (b->kind != BLOCK_TOOL_CALL)
            continue;
        if (json_tree_parse(&c->arena, b->arguments, &tree) != OK ||
            !json_node_is(json_node_get(json_tree_root(tree), STR("port")), JSON_STRING))
            return cell_wrong(c, "arguments %.*s", STR_ARG(b->arguments));
    }
    return true;
}

static bool is_call(struct cell *c)
{
    if (count_calls(c, "get_tide") != 1)
        return cell_wrong(c, "%zu calls of get_tide", count_calls(c, "get_tide"));
    return has_finish(c, FINISH_TOOL_CALLS) && has_arguments(c);
}

static bool is_two_calls(struct cell *c)
{
    if (count_calls(c, "get_tide") != 1 || count_calls(c, "get_wind") != 1)
        return cell_wrong(c, "not one call of each tool");
    return has_finish(c, FINISH_TOOL_CALLS) && has_arguments(c);
}

static bool is_forced(struct cell *c)
{
    if (count_calls(c, "get_wind") != 1 || count_calls(c, NULL) != 1)
        return cell_wrong(c, "the forced tool was not called");
    return has_arguments(c);
}

static bool is_quoted(struct cell *c)
{
    struct str text = text_of(c);

    if (str_find(text, STR("12 knots")) == text.n)
        return cell_wrong(c, "the last result is not quoted: %.*s", STR_ARG(text));
    return is_text(c);
}

static bool is_picture_result(struct cell *c)
{
    return is_text(c);
}

static bool is_structured(struct cell *c)
{
    const struct json_tree *tree;
    struct str text = text_of(c);

    if (json_tree_parse(&c->arena, text, &tree) != OK ||
        !json_node_is(json_node_get(json_tree_root(tree), STR("port")), JSON_STRING))
        return cell_wrong(c, "not what the schema says: %.*s", STR_ARG(text));
    return has_finish(c, FINISH_STOP);
}

static bool is_stopped(struct cell *c)
{
    struct str text = text_of(c);
    enum finish f = c->answer.choice_count ? c->answer.choices[0].finish : FINISH_PAUSE;

    if (str_find(text, STR("harbours")) != text.n)
        return cell_wrong(c, "it went on behind the stop: %.*s", STR_ARG(text));
    return f == FINISH_STOP || f == FINISH_STOP_SEQUENCE || cell_wrong(c, "finish %d", (int)f);
}

static bool is_cut(struct cell *c)
{
    return has_finish(c, FINISH_LENGTH);
}

static bool is_three(struct cell *c)
{
    return c->answer.choice_count == 3 || cell_wrong(c, "%zu choices", c->answer.choice_count);
}

/* The answer's own blocks go back, with the results of its calls. */
static void go_on(struct cell *c, bool with_thoughts)
{
    struct turn *t = chat_add_turn(&c->request, &c->arena, CHAT_ASSISTANT, JSON_ABSENT), *results;
    struct block **end = &t->blocks;

    for (const struct block *b = c->answer.choices[0].blocks; b; b = b->next) {
        if (!with_thoughts && (b->kind == BLOCK_THINKING || b->kind == BLOCK_REDACTED))
            continue;
        struct block *copy = arena_new(&c->arena, struct block);
        *copy = *b;
        copy->next = NULL;
        if (!with_thoughts)
            copy->signature = STR_NONE;
        *end = copy;
        end = &copy->next;
    }
    results = chat_add_turn(&c->request, &c->arena, CHAT_USER, JSON_ABSENT);
    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_CALL)
            add_result(c, results, b->id, b->name, "12 knots");
}

static bool go_on_with_thoughts(struct cell *c)
{
    go_on(c, true);
    return true;
}

static bool go_on_without(struct cell *c)
{
    go_on(c, false);
    return true;
}

static bool is_quoted_after_call(struct cell *c)
{
    return c->request.last_turn->role == CHAT_USER && turn_has(c->request.last_turn, BLOCK_TOOL_RESULT) ? is_quoted(c)
                                                                                                        : is_call(c);
}

const struct scenario_test scenarios[] = {
    {.name = "plain answer", .ask = ask_plain, .is_right = is_text},
    {.name = "several turns", .ask = ask_turns, .is_right = is_text},
    {.name = "system message", .ask = ask_system, .is_right = is_text},
    {.name = "usage", .ask = ask_plain, .is_right = is_counted},
    {.name = "stream", .ask = ask_stream, .is_right = is_text},
    {.name = "usage of a stream", .ask = ask_stream, .is_right = is_counted},
    {.name = "temperature", .ask = ask_settings, .is_right = is_text},
    {.name = "stop sequence", .ask = ask_stop, .is_right = is_stopped},
    {.name = "length limit", .ask = ask_short, .is_right = is_cut},
    {.name = "several choices", .ask = ask_several, .is_right = is_three},
    {.name = "tool call", .ask = ask_tool, .is_right = is_call},
    {.name = "tool call, streamed", .ask = ask_tool_stream, .is_right = is_call},
    {.name = "parallel tool calls", .ask = ask_tools, .is_right = is_two_calls},
    {.name = "forced tool", .ask = ask_forced, .is_right = is_forced},
    {.name = "tool results", .ask = ask_result, .is_right = is_quoted, .unsigned_history = true},
    {.name = "tool loop", .ask = ask_tool, .is_right = is_quoted_after_call, .again = go_on_with_thoughts},
    {.name = "picture in a tool result", .ask = ask_result_image, .is_right = is_picture_result},
    {.name = "structured output", .ask = ask_schema, .is_right = is_structured},
    {.name = "picture", .ask = ask_image, .is_right = is_text},
    {.name = "thinking in a tool loop",
     .ask = ask_thinking,
     .is_right = is_quoted_after_call,
     .again = go_on_with_thoughts},
    {.name = "thinking, streamed",
     .ask = ask_thinking_stream,
     .is_right = is_quoted_after_call,
     .again = go_on_with_thoughts},
    {.name = "thinking that the client drops",
     .ask = ask_thinking,
     .is_right = is_quoted_after_call,
     .again = go_on_without,
     .unsigned_history = true},
    {.name = "error: bad request", .model = "-400", .ask = ask_plain, .wanted = ERROR_BAD_REQUEST},
    {.name = "error: no such model", .model = "-404", .ask = ask_plain, .wanted = ERROR_NOT_FOUND},
    {.name = "error: rate limit", .model = "-429", .ask = ask_plain, .wanted = ERROR_RATE_LIMIT},
    {.name = "error: broken provider", .model = "-500", .ask = ask_plain, .wanted = ERROR_UPSTREAM},
    {.name = "error: overloaded", .model = "-503", .ask = ask_plain, .wanted = ERROR_OVERLOADED},
    {.name = "break in a stream", .model = "-break", .ask = ask_stream, .wanted = ERROR_UPSTREAM},
};
const size_t scenario_count = sizeof scenarios / sizeof *scenarios;
