/* tool_args.c - text that should be an object, and objects that stand for a text. */
#include "llm/tool_args.h"

#include "base/buf.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"

/* {"key": "text"} */
static struct str object_of(struct str key, struct str text, struct arena *arena)
{
    enum { AROUND = 64, ESCAPED = 6 }; /* bytes that one byte may become */
    struct buf to CLEANUP(buf_release) = BUF_INIT(text.n * ESCAPED + key.n + AROUND);
    struct json_out o = json_out_to(&to);

    json_open(&o, '{');
    json_member_str(&o, key, text);
    json_close(&o, '}');
    return arena_str(arena, buf_str(&to));
}

static struct str without_blanks(struct str s)
{
    while (s.n && memchr(" \t\r\n", s.p[0], 4))
        s = str_slice(s, 1, s.n);
    while (s.n && memchr(" \t\r\n", s.p[s.n - 1], 4))
        s.n--;
    return s;
}

struct str tool_args_object(struct str args, struct arena *arena, bool *ret_wrapped)
{
    struct str text = without_blanks(args);

    *ret_wrapped = false;
    if (!text.n)
        return STR("{}");
    if (text.p[0] == '{' && json_valid(text, JSON_LONE_SURROGATES))
        return text;
    *ret_wrapped = true;
    return object_of(STR("_raw"), args, arena);
}

struct str tool_args_of_text(struct str text, struct arena *arena)
{
    return object_of(STR("input"), text, arena);
}

struct str tool_args_to_text(struct str args, struct arena *arena)
{
    const struct json_tree *tree;

    if (json_tree_parse(arena, args, &tree) != OK)
        return args;
    struct json_node input = json_node_get(json_tree_root(tree), STR("input"));
    return json_node_is(input, JSON_STRING) ? json_node_text(input, arena) : args;
}
