/* chat_test.c - building and asking the canonical request; media; estimates. */
#include "llm/chat.h"
#include "llm/dialect.h"
#include "llm/estimate.h"

#include "base/prng.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "test.h"

static const struct json_tree *parse(struct arena *a, const char *text)
{
    const struct json_tree *tree = NULL;

    if (json_tree_parse(a, str_from_c(text), &tree) != OK)
        test_fail_(__FILE__, __LINE__, "%s: %s", text, err_detail(E_PARSE));
    return tree;
}

TEST(chat_lists_grow_at_their_ends)
{
    struct arena a CLEANUP(arena_release);
    struct chat_request q = {0};

    arena_init(&a, 1 << 20);
    struct turn *first = chat_add_turn(&q, &a, CHAT_SYSTEM, JSON_ABSENT);
    struct turn *second = chat_add_turn(&q, &a, CHAT_USER, JSON_ABSENT);
    CHECK(q.turns == first && first->next == second && !second->next);
    struct block *one = chat_add_block(&second->blocks, &a, BLOCK_TEXT, JSON_ABSENT);
    struct block *two = chat_add_block(&second->blocks, &a, BLOCK_IMAGE, JSON_ABSENT);
    struct block *three = chat_add_block(&second->blocks, &a, BLOCK_TEXT, JSON_ABSENT);
    CHECK(second->blocks == one && one->next == two && two->next == three && !three->next);
    CHECK(turn_has(second, BLOCK_IMAGE));
    CHECK(!turn_has(first, BLOCK_IMAGE));
    struct tool *tool = chat_add_tool(&q, &a, TOOL_FUNCTION, JSON_ABSENT);
    struct tool *other = chat_add_tool(&q, &a, TOOL_CUSTOM, JSON_ABSENT);
    CHECK(q.tools == tool && tool->next == other && !other->next);
}

TEST(chat_blocks_are_added_behind_the_last_whoever_put_it_there)
{
    struct arena a CLEANUP(arena_release);
    struct block *list = NULL, by_hand = {0};

    arena_init(&a, 1 << 20);
    struct block *one = chat_add_block(&list, &a, BLOCK_TEXT, JSON_ABSENT);
    struct block *two = chat_add_block(&list, &a, BLOCK_TEXT, JSON_ABSENT);
    two->next = &by_hand;
    struct block *four = chat_add_block(&list, &a, BLOCK_TEXT, JSON_ABSENT);
    CHECK(by_hand.next == four);
    CHECK(chat_add_block(&list->next, &a, BLOCK_TEXT, JSON_ABSENT) == four->next);
    struct block copy = *one, *other = &copy;
    copy.next = NULL;
    struct block *five = chat_add_block(&other, &a, BLOCK_TEXT, JSON_ABSENT);
    CHECK(copy.next == five && !five->next);
    CHECK(!four->next->next);
    CHECK(chat_add_block(&other, &a, BLOCK_TEXT, JSON_ABSENT) == five->next);
}

TEST(chat_lists_of_very_many_blocks_cost_a_step_each)
{
    enum { BLOCKS = 200000 };
    struct arena a CLEANUP(arena_release);
    struct block *list = NULL;
    size_t n = 0;

    arena_init(&a, 1 << 28);
    for (size_t i = 0; i < BLOCKS; i++) /* walks would take minutes */
        chat_add_block(&list, &a, BLOCK_TEXT, JSON_ABSENT);
    for (const struct block *b = list; b; b = b->next)
        n++;
    CHECK_EQ(n, BLOCKS);
}

TEST(chat_extras_keep_their_keys_and_text_as_written)
{
    struct arena a CLEANUP(arena_release);
    struct chat_request q = {0};

    arena_init(&a, 1 << 20);
    JSON_EACH(w, json_tree_root(parse(&a, "{\"k\\u0065y\": {\"a\" : 1e400},\"b\":[ ]}")))
        chat_add_extra(&q, &a, w.key, w.value, json_walk_key_is(&w, STR("b")));
    CHECK_STR(q.extras->key, "k\\u0065y");
    CHECK_STR(q.extras->raw, "{\"a\" : 1e400}");
    CHECK(!q.extras->nested);
    CHECK_STR(q.extras->next->raw, "[ ]");
    CHECK(q.extras->next->nested);
    CHECK(!q.extras->next->next);
}

TEST(chat_settings_are_read_only_if_their_type_is_right)
{
    struct arena a CLEANUP(arena_release);
    struct number number = {0};
    struct setting setting = {0}, raw = {0};
    struct flag flag = {0};

    arena_init(&a, 1 << 20);
    struct json_node doc = json_tree_root(parse(&a, "{\"n\":1.50,\"s\":\"a\\n\",\"t\":true,\"f\":false,\"z\":null}"));
    chat_read_number(&number, json_node_get(doc, STR("s")));
    CHECK_EQ(number.text.n, 0);
    chat_read_number(&number, json_node_get(doc, STR("n")));
    CHECK_STR(number.text, "1.50");
    chat_read_setting(&setting, json_node_get(doc, STR("n")), &a);
    CHECK(!setting.text.p);
    chat_read_setting(&setting, json_node_get(doc, STR("s")), &a);
    CHECK_STR(setting.text, "a\n");
    chat_read_raw(&raw, json_node_get(doc, STR("z")));
    CHECK(!raw.text.p);
    chat_read_raw(&raw, json_node_get(doc, STR("s")));
    CHECK_STR(raw.text, "\"a\\n\"");
    chat_read_flag(&flag, json_node_get(doc, STR("n")));
    CHECK_EQ(flag.is, UNSET);
    chat_read_flag(&flag, json_node_get(doc, STR("f")));
    CHECK_EQ(flag.is, NO);
    chat_read_flag(&flag, json_node_get(doc, STR("t")));
    CHECK_EQ(flag.is, YES);
}

TEST(efforts_and_budgets_stand_for_each_other)
{
    for (enum effort e = EFFORT_NONE; e <= EFFORT_MAX; e++) {
        CHECK_EQ(effort_of(effort_name(e)), e);
        CHECK_EQ(budget_effort(effort_budget(e)), e);
        CHECK(e == EFFORT_NONE || effort_budget(e) > effort_budget((enum effort)(e - 1)));
        if (e < EFFORT_MAX)
            CHECK_EQ(budget_effort(effort_budget(e) + 1), e + 1);
    }
    CHECK_EQ(budget_effort(1 << 30), EFFORT_MAX);
    CHECK_EQ(budget_effort(-1), EFFORT_UNSET);
    CHECK_EQ(effort_budget(EFFORT_UNSET), -1);
    CHECK_EQ(effort_of(STR("")), EFFORT_UNSET);
    CHECK_EQ(effort_of(STR("lowest")), EFFORT_UNSET);
}

TEST(a_call_is_found_by_its_id_before_a_turn_the_latest_first)
{
    struct arena a CLEANUP(arena_release);
    struct chat_request q = {0};

    arena_init(&a, 1 << 20);
    struct turn *first = chat_add_turn(&q, &a, CHAT_ASSISTANT, JSON_ABSENT);
    struct turn *user = chat_add_turn(&q, &a, CHAT_USER, JSON_ABSENT);
    struct turn *last = chat_add_turn(&q, &a, CHAT_ASSISTANT, JSON_ABSENT);
    struct block *one = chat_add_block(&first->blocks, &a, BLOCK_TOOL_CALL, JSON_ABSENT);
    struct block *two = chat_add_block(&last->blocks, &a, BLOCK_TOOL_CALL, JSON_ABSENT);
    one->id = two->id = STR("x");
    CHECK(chat_find_call(&q, STR("x"), user) == one);
    CHECK(chat_find_call(&q, STR("x"), NULL) == two);
    CHECK(!chat_find_call(&q, STR("y"), NULL));
    CHECK(!chat_find_call(&q, STR("x"), first));
}

TEST(texts_are_joined_and_one_alone_is_not_copied)
{
    struct arena a CLEANUP(arena_release);
    struct block *blocks = NULL;

    arena_init(&a, 1 << 20);
    CHECK(!blocks_text(blocks, STR(","), &a).p);
    struct block *one = chat_add_block(&blocks, &a, BLOCK_TEXT, JSON_ABSENT);
    one->text = STR("a");
    chat_add_block(&blocks, &a, BLOCK_IMAGE, JSON_ABSENT)->text = STR("no");
    CHECK(blocks_text(blocks, STR(","), &a).p == one->text.p);
    chat_add_block(&blocks, &a, BLOCK_TEXT, JSON_ABSENT)->text = STR("b");
    CHECK_STR(blocks_text(blocks, STR(", "), &a), "a, b");
}

TEST(tools_are_allowed_by_the_choice_s_list_or_all_without_one)
{
    static const struct str names[] = {STR_INIT("a"), STR_INIT("b")};
    const struct tool_choice some = {.allowed = names, .allowed_count = 2}, none = {.allowed = names}, all = {0};

    CHECK(tool_is_allowed(&some, STR("b")));
    CHECK(!tool_is_allowed(&some, STR("c")));
    CHECK(!tool_is_allowed(&none, STR("a")));
    CHECK(tool_is_allowed(&all, STR("c")));
}

TEST(headers_of_a_call_are_added_in_order)
{
    struct provider_call call = {0};

    call_add_header(&call, STR("a"), STR("1"));
    call_add_header(&call, STR("b"), STR("2"));
    CHECK_EQ(call.header_count, 2);
    CHECK_STR(call.headers[1].name, "b");
    CHECK_STR(call.headers[1].value, "2");
}

TEST(choices_are_one_unless_a_sensible_number_is_asked_for)
{
    static const struct {
        const char *n;
        unsigned choices;
    } rows[] = {{"", 1}, {"0", 1}, {"1", 1}, {"3", 3}, {"128", 128}, {"129", 1}, {"-2", 1}, {"2.0", 1}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ(chat_choices(&(struct chat_request){.n = {.text = str_from_c(rows[i].n)}}), rows[i].choices);
}

/* --- media --- */

static void check_url(const char *url, enum media_source source, const char *type, const char *data)
{
    struct arena a CLEANUP(arena_release);
    struct media m = {0};

    arena_init(&a, 1 << 20);
    test_context("%s", url);
    CHECK_OK(media_from_url(&m, str_from_c(url), &a));
    CHECK_EQ(m.source, source);
    CHECK_STR(m.type, type);
    CHECK_STR(m.data, data);
}

TEST(media_urls_are_told_apart_and_data_is_taken_out_of_them)
{
    check_url("https://x/y.png?a,b", MEDIA_URL, "", "https://x/y.png?a,b");
    check_url("data:image/png;base64,iVBO", MEDIA_BASE64, "image/png", "iVBO");
    check_url("DATA:image/JPG;charset=x;BASE64,/9j/", MEDIA_BASE64, "image/jpeg", "/9j/");
    check_url("data:image/webp;base64,a+b/", MEDIA_BASE64, "image/webp", "a+b/");
    check_url("data:image/webp;base64,a%2Bb%2F", MEDIA_BASE64, "image/webp", "a+b/");
    check_url("data:;base64,-_8", MEDIA_BASE64, "", "+/8=");
    check_url("data:text/plain,a%20b,c", MEDIA_TEXT, "text/plain", "a b,c");
    check_url("data:,", MEDIA_TEXT, "", "");
    check_url("data: image/png ; charset=x;base64,iVBO", MEDIA_BASE64, "image/png", "iVBO");
    check_url("data:image/png;base64,", MEDIA_BASE64, "image/png", "");
}

TEST(media_urls_that_are_broken_are_refused_with_words)
{
    struct arena a CLEANUP(arena_release);
    struct media m = {0};

    arena_init(&a, 1 << 20);
    CHECK_ERR(media_from_url(&m, STR("data:image/png;base64"), &a), E_PARSE);
    CHECK(strstr(err_detail(E_PARSE), "comma"));
    CHECK_ERR(media_from_url(&m, STR("data:text/plain,%zz"), &a), E_PARSE);
}

TEST(base64_becomes_standard_with_padding_and_stays_where_it_is_so)
{
    static const char *const rows[][2] = {{"QUJD", "QUJD"}, {"QUI=", "QUI="},   {"QUI", "QUI="},         {"QQ", "QQ=="},
                                          {"-_-_", "+/+/"}, {"QU\nJD", "QUJD"}, {"Q U\tJ\r\nD", "QUJD"}, {"", ""},
                                          {"QUI%", "QUI%"}, {"QUJD=", "QUJD"},  {"QUI==", "QUI="}};
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(base64_standard(str_from_c(rows[i][0]), &a), rows[i][1]);
    struct str same = STR("QUJDREVG");
    CHECK(base64_standard(same, &a).p == same.p);
}

TEST(media_is_recognised_by_its_first_bytes)
{
    static const struct {
        struct str bytes;
        const char *type;
    } rows[] = {
        {STR_INIT("\x89PNG\r\n\x1a\n0123456789"), "image/png"},
        {STR_INIT("\xff\xd8\xff\xe0"), "image/jpeg"},
        {STR_INIT("GIF89a"), "image/gif"},
        {STR_INIT("RIFF1234WEBPVP8 "), "image/webp"},
        {STR_INIT("RIFF1234WAVEfmt "), "audio/wav"},
        {STR_INIT("%PDF-1.7"), "application/pdf"},
        {STR_INIT("ID3\x04"), "audio/mpeg"},
        {STR_INIT("\xff\xfb\x90"), "audio/mpeg"},
        {STR_INIT("fLaC"), "audio/flac"},
        {STR_INIT("OggS"), "audio/ogg"},
        {STR_INIT("\0\0\0\x18"
                  "ftypmp42"),
         "video/mp4"},
        {STR_INIT("hello, world, how are you"), ""},
        {STR_INIT("\x89PN"), ""},
        {STR_INIT(""), ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(100);
        test_context("row %zu", i);
        CHECK_OK(base64_encode(&text, rows[i].bytes, BASE64));
        CHECK_STR(media_sniff(buf_str(&text)), rows[i].type);
    }
    CHECK_EQ(media_sniff(STR("no base64!")).n, 0);
}

/* --- estimates --- */

static struct block *one_block(struct chat_request *q, struct arena *a, enum block_kind kind)
{
    return chat_add_block(&chat_add_turn(q, a, CHAT_USER, JSON_ABSENT)->blocks, a, kind, JSON_ABSENT);
}

TEST(estimates_count_text_turns_tools_and_media)
{
    struct arena a CLEANUP(arena_release);
    struct chat_request q = {0};

    arena_init(&a, 1 << 20);
    CHECK_EQ(estimate_tokens(&q), 0);
    one_block(&q, &a, BLOCK_TEXT)->text = STR("12345678");
    CHECK_EQ(estimate_tokens(&q), 4 + 2);
    one_block(&q, &a, BLOCK_TEXT)->text = STR("\xe6\xa8\xa1\xe5\x9e\x8b");
    CHECK_EQ(estimate_tokens(&q), 6 + 4 + 3);
    struct tool *t = chat_add_tool(&q, &a, TOOL_FUNCTION, JSON_ABSENT);
    t->name = STR("name");
    t->description = STR("what it does");
    t->parameters = STR("{\"type\":\"object\"}");
    CHECK_EQ(estimate_tokens(&q), 13 + 4 + 1 + 3 + 5);
    struct block *result = one_block(&q, &a, BLOCK_TOOL_RESULT);
    chat_add_block(&result->content, &a, BLOCK_TEXT, JSON_ABSENT)->text = STR("1234");
    chat_add_block(&result->content, &a, BLOCK_IMAGE, JSON_ABSENT);
    CHECK_EQ(estimate_tokens(&q), 26 + 4 + 1 + 1000);
    q.format.schema = STR("1234");
    CHECK_EQ(estimate_tokens(&q), 1032);
}

TEST(estimates_of_documents_follow_their_size_and_of_media_do_not)
{
    struct arena a CLEANUP(arena_release);
    struct chat_request q = {0};

    arena_init(&a, 1 << 20);
    struct block *b = one_block(&q, &a, BLOCK_DOCUMENT);
    b->media = (struct media){.source = MEDIA_TEXT, .data = STR("12345678")};
    CHECK_EQ(estimate_tokens(&q), 4 + 2);
    b->media = (struct media){.source = MEDIA_BASE64, .data = str_of(NULL, 2000)};
    CHECK_EQ(estimate_tokens(&q), 4 + 100);
    b->kind = BLOCK_AUDIO;
    CHECK_EQ(estimate_tokens(&q), 4 + 500);
    b->kind = BLOCK_IMAGE;
    CHECK_EQ(estimate_tokens(&q), 4 + 1000);
}

TEST(estimates_count_every_byte_of_a_text_wherever_it_begins_and_ends)
{
    char text[200];
    struct prng p;

    prng_seed(&p, 11);
    for (unsigned round = 0; round < 2000; round++) {
        size_t from = prng_below(&p, 9), n = prng_below(&p, sizeof text - 9), ascii = 0;
        uint64_t rare = round % 2 ? 100 : 2; /* one byte in so many may be beyond ASCII */
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)(prng_below(&p, rare) ? 'a' : prng_below(&p, 256));
        for (size_t i = 0; i < n; i++)
            ascii += (unsigned char)text[from + i] < 0x80;
        CHECK_EQ(estimate_text(str_of(text + from, n)), (ascii + 3) / 4 + (n - ascii + 1) / 2);
    }
}
