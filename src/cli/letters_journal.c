/* letters_journal.c - dead letters in a journal that this process has open. */
#include "cli/letters_place.h"

static SUSPENDS err_t page(void *j, const struct letter_filter *filter, uint64_t *after, struct arena *arena,
                           struct dead_letter **ret, size_t *ret_count)
{
    return letters_page(j, filter, after, arena, ret, ret_count);
}

static SUSPENDS err_t groups(void *j, struct str pipeline, struct arena *arena, struct letter_group **ret,
                             size_t *ret_count)
{
    return letters_groups(j, pipeline, arena, ret, ret_count);
}

static SUSPENDS err_t find(void *j, struct str id, struct arena *arena, struct dead_letter *ret)
{
    return letters_find(j, id, arena, ret);
}

static SUSPENDS err_t kept(void *j, const struct dead_letter *l, struct letter_kept *ret)
{
    return letters_kept(j, l, ret);
}

static SUSPENDS err_t edit(void *j, const struct dead_letter *l, struct str record)
{
    return letters_edit(j, l, record);
}

static SUSPENDS err_t drop(void *j, const struct dead_letter *letters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(err_context(letters_drop(j, &letters[i]), "%.12s", letters[i].hex));
    return OK;
}

static SUSPENDS err_t replay(void *j, const struct dead_letter *letters, size_t count, uint64_t rate, size_t *ret_count)
{
    return letters_replay(j, letters, count, NS_SEC / (ns_t)rate, ret_count);
}

static SUSPENDS err_t replay_original(void *j, const struct dead_letter *letters, size_t count, size_t *ret_count)
{
    return letters_replay_original(j, letters, count, ret_count);
}

struct letters_place letters_in_journal(struct journal *j)
{
    return (struct letters_place){.page = page,
                                  .groups = groups,
                                  .find = find,
                                  .kept = kept,
                                  .edit = edit,
                                  .drop = drop,
                                  .replay = replay,
                                  .replay_original = replay_original,
                                  .when = journal_is_shared(j) ? "within seconds, or with the next run"
                                                               : "with the next run",
                                  .ctx = j};
}
