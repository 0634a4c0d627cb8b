/*
 * postgres_schema.c - the tables of a journal in PostgreSQL, layout by layout, and the function that brings commits about.
 *
 * What operations do is a function of the database, bring_about(), so a group of commits is one statement: one way to the server and back, and no lock
 * is ever held for a process that is stopped in the midst of its transaction. An operation that is refused raises an exception, which undoes the group and says whose it
 * was.
 *
 * Who owns what: a commit with a FENCE locks the row that has the epoch FOR KEY SHARE, and whoever raises an epoch locks it FOR UPDATE. So either the commit is there
 * when the new owner begins to read, or it finds the new epoch and is refused. Progress is written under a weaker lock, which hinders neither.
 *
 * A root is locked by whoever may make it go or come back, because dead letters of it may be dealt with by another process. Blobs are counted by triggers.
 *
 * A layout that has been released never changes: a new one is a further entry of `layouts`.
 */
#include "store/journal/postgres_int.h"

#include "base/buf.h"

#define BODY_TYPES "form integer not null default 0, body bytea, blob bigint, size bigint not null default 0"
#define NUMBERED "k bigint generated always as identity primary key, "

#define COUNTED(table)                                                                                                 \
    "create trigger put after insert on " table " for each row when (new.blob is not null) "                           \
    "execute function count_blob();"                                                                                   \
    "create trigger set after update of blob on " table " for each row when (new.blob is distinct from old.blob) "     \
    "execute function count_blob();"                                                                                   \
    "create trigger gone after delete on " table " for each row when (old.blob is not null) "                          \
    "execute function count_blob();"

static const char tables[] =
    "create table blob(" NUMBERED "hash bytea not null unique, refs bigint not null, size bigint not null, "
    "bytes bytea not null);"
    "alter table blob alter column bytes set storage external;"
    "create table progress(" NUMBERED "pipeline text not null, source text not null, partition bigint not null, "
    "epoch bigint not null, " BODY_TYPES ", unique(pipeline, source, partition));"
    "create table root(" NUMBERED "id bytea not null unique, place bigint not null, state integer not null, "
    "restarts bigint not null default 0, seq bigint not null, at bigint not null, due bigint not null, " BODY_TYPES ");"
    "create index root_place on root(place, k) where state = 0;"
    "create table step(" NUMBERED "root bigint not null, node text not null, idx bigint not null, " BODY_TYPES
    ", unique(root, node, idx));"
    "create table effect(" NUMBERED "root bigint not null, id bytea not null, state bigint not null, "
    "at bigint not null, " BODY_TYPES ", unique(root, id));"
    "create table intent(" NUMBERED "pipeline text not null, node text not null, shard bigint not null, "
    "seq bigint not null, state integer not null, " BODY_TYPES ", unique(pipeline, node, shard));"
    "create table state(" NUMBERED "pipeline text not null, node text not null, shard bigint not null, "
    "key bytea not null, " BODY_TYPES ", unique(pipeline, node, shard, key));"
    "create index state_place on state(pipeline, node, shard, k);"
    "create table timer(" NUMBERED "pipeline text not null, node text not null, shard bigint not null, "
    "key bytea not null, due bigint not null, " BODY_TYPES ", unique(pipeline, node, shard, key));"
    "create index timer_due on timer(pipeline, shard, due, k);"
    "create table gate(" NUMBERED "id bytea not null unique, root bigint not null, root_id bytea not null, "
    "pipeline text not null, node text not null, state bigint not null default 0, due bigint not null, "
    "at bigint not null default 0, cause bytea not null default '', " BODY_TYPES ");"
    "create index gate_root on gate(root);"
    "create index gate_open on gate(k) where state = 0;"
    "create table dead(" NUMBERED "id bytea not null unique, root bytea not null, pipeline text not null, "
    "node text not null, cause bytea not null, at bigint not null, replays bigint not null default 0, "
    "replayed bigint not null default 0, " BODY_TYPES ");"
    "create index dead_root on dead(root, k);"
    "create index dead_alike on dead(pipeline, cause, node, k);"
    "create table trace(" NUMBERED "id bytea not null unique, pipeline text not null, at bigint not null, " BODY_TYPES
    ");"
    "create index trace_pipeline on trace(pipeline, k);";

static const char blobs[] =
    "create function count_blob() returns trigger language plpgsql set search_path = crossdock_journal as $f$ "
    "begin "
    "if tg_op <> 'DELETE' and new.blob is not null then "
    "update blob set refs = refs + 1 where k = new.blob; end if; "
    "if tg_op <> 'INSERT' and old.blob is not null then "
    "update blob set refs = refs - 1 where k = old.blob; "
    "delete from blob where k = old.blob and refs = 0; end if; "
    "return null; end $f$;" COUNTED("progress") COUNTED("root") COUNTED("step") COUNTED("effect") COUNTED("intent")
        COUNTED("state") COUNTED("timer") COUNTED("gate") COUNTED("dead") COUNTED("trace")
    /* The blob's row, made if it is new; null without a hash. */
    "create function keep_blob(of_hash bytea, of_size bigint, of_bytes bytea) returns bigint language plpgsql as $f$ "
    "declare found_k bigint; "
    "begin "
    "if of_hash is null then return null; end if; "
    "if of_bytes is null then "
    "select k into found_k from blob where hash = of_hash for update; "
    "if not found then raise exception using errcode = 'XD004'; end if; "
    "else insert into blob as b (hash, refs, size, bytes) values (of_hash, 0, of_size, of_bytes) "
    "on conflict (hash) do update set refs = b.refs returning b.k into found_k; end if; "
    "return found_k; end $f$;";

static const char parts[] =
    "create function purge_root(of_k bigint) returns void language sql as $f$ "
    "delete from step where root = of_k; delete from effect where root = of_k; delete from gate where root = of_k; "
    "delete from root where k = of_k $f$;"
    "create function need_root(of_id bytea) returns bigint language plpgsql as $f$ "
    "declare found_k bigint; "
    "begin select k into found_k from root where id = of_id; "
    "if not found then raise exception using errcode = 'XD003'; end if; "
    "return found_k; end $f$;"
    /* A dead letter goes, and a parked root with its last. */
    "create function remove_dead(of_k bigint) returns void language plpgsql as $f$ "
    "declare of_root bytea; r root; "
    "begin "
    "select dead.root into of_root from dead where k = of_k; "
    "if not found then return; end if; "
    "select * into r from root where id = of_root for update; "
    "delete from dead where k = of_k; "
    "if r.state = 1 and not exists(select from dead where dead.root = of_root) then "
    "perform purge_root(r.k); end if; end $f$;"
    "create function sweep_dead(before bigint) returns void language plpgsql as $f$ "
    "declare oldest bigint; "
    "begin for i in 1 .. 4 loop "
    "select k into oldest from dead where k = (select min(k) from dead) and at < before; "
    "exit when not found; perform remove_dead(oldest); end loop; end $f$;"
    "create function sweep_traces(before bigint, most bigint) returns void language plpgsql as $f$ "
    "begin for i in 1 .. 4 loop "
    "delete from trace where k = (select min(k) from trace) and "
    "(at < before or (select max(k) - min(k) from trace) >= most); "
    "exit when not found; end loop; end $f$;";

/* Kinds are those of enum journal_op_kind; outcomes those of enum journal_outcome, and below zero why a commit is refused. */
static const char commit[] =
    "create or replace function bring_about(commits integer[], kinds integer[], ids bytea[], roots bytea[], pipelines "
    "text[], "
    "sources text[], nodes text[], keys bytea[], causes bytea[], partitions bigint[], shards bigint[], "
    "indexes bigint[], states bigint[], epochs bigint[], seqs bigint[], ats bigint[], dues bigint[], forms integer[], "
    "bodies bytea[], hashes bytea[], sizes bigint[], traces_max bigint, trace_age bigint, dead_age bigint) "
    "returns table(ret_op bigint, ret_outcome integer, ret_epoch bigint) "
    "language plpgsql set search_path = crossdock_journal as $f$ "
    "declare o record; r root; i intent; g gate; was bigint; outcome integer; place bigint; in_row bytea; "
    "now_commit bigint; now_op bigint; "
    "claiming integer[] := array(select c from unnest(commits, kinds) as u(c, kind) where kind = 7); "
    "begin begin "
    "for o in select * from unnest(commits, kinds, ids, roots, pipelines, sources, nodes, keys, causes, partitions, "
    "shards, indexes, states, epochs, seqs, ats, dues, forms, bodies, hashes, sizes) with ordinality "
    "as t(c, kind, id, root, pipeline, source, node, key, cause, part, shard, idx, state, epoch, seq, at, due, form, "
    "body, hash, size, n) loop "
    "outcome := 0; now_commit := o.c; now_op := o.n; "
    "in_row := case when o.hash is null then o.body end; "
    "case o.kind "
    "when 0 then " /* ROOT_PUT */
    "if exists(select from root where id = o.id) or exists(select from trace where id = o.id) then outcome := 1; "
    "else "
    "select k into place from progress where pipeline = o.pipeline and source = o.source and partition = o.part; "
    "if not found then "
    "insert into progress as p (pipeline, source, partition, epoch) values (o.pipeline, o.source, o.part, 0) "
    "on conflict (pipeline, source, partition) do update set epoch = p.epoch returning p.k into place; end if; "
    "insert into root (id, place, state, seq, at, due, form, body, blob, size) values (o.id, place, 0, o.seq, o.at, "
    "o.due, o.form, in_row, keep_blob(o.hash, o.size, o.body), o.size); "
    "end if; "
    "when 1 then " /* ROOT_DONE */
    "select * into r from root where id = o.id and state = 0 for update; "
    "if not found then outcome := 2; "
    "else "
    "if o.body is not null or o.hash is not null then "
    "update trace set at = o.at, form = o.form, body = in_row, blob = keep_blob(o.hash, o.size, o.body), "
    "size = o.size where id = o.id; "
    "if not found then "
    "insert into trace (id, pipeline, at, form, body, blob, size) values (o.id, o.pipeline, o.at, o.form, in_row, "
    "keep_blob(o.hash, o.size, o.body), o.size); end if; "
    "perform sweep_traces(o.at - trace_age, traces_max); "
    "end if; "
    "if exists(select from dead where dead.root = o.id) then update root set state = 1 where k = r.k; "
    "else perform purge_root(r.k); end if; "
    "end if; "
    "when 2 then " /* RESTARTED */
    "update root set restarts = case when o.state = 1 then least(restarts, 1) else restarts + 1 end "
    "where id = o.id and state = 0; "
    "if not found then outcome := 2; end if; "
    "when 3 then " /* ROOT_REOPEN */
    "update root set state = 0, due = o.due, restarts = 0 where id = o.id and state = 1; "
    "if not found then outcome := 2; end if; "
    "when 4 then " /* STEP_PUT */
    "insert into step (root, node, idx, form, body, blob, size) values (need_root(o.root), o.node, o.idx, o.form, "
    "in_row, keep_blob(o.hash, o.size, o.body), o.size) on conflict (root, node, idx) do update set "
    "form = excluded.form, body = excluded.body, blob = excluded.blob, size = excluded.size; "
    "when 5 then " /* EFFECT_PUT */
    "insert into effect (root, id, state, at, form, body, blob, size) values (need_root(o.root), o.id, o.state, o.at, "
    "o.form, in_row, keep_blob(o.hash, o.size, o.body), o.size) on conflict (root, id) do update set "
    "state = excluded.state, at = excluded.at, form = excluded.form, body = excluded.body, blob = excluded.blob, "
    "size = excluded.size; "
    "when 6 then " /* PROGRESS_PUT */
    "update progress set form = o.form, body = in_row, blob = keep_blob(o.hash, o.size, o.body), size = o.size "
    "where pipeline = o.pipeline and source = o.source and partition = o.part and epoch = o.epoch; "
    "if not found then "
    "select epoch into was from progress where pipeline = o.pipeline and source = o.source and partition = o.part "
    "for update; "
    "if was > o.epoch then raise exception using errcode = 'XD001'; end if; "
    "insert into progress as p (pipeline, source, partition, epoch, form, body, blob, size) values (o.pipeline, "
    "o.source, o.part, o.epoch, o.form, in_row, keep_blob(o.hash, o.size, o.body), o.size) "
    "on conflict (pipeline, source, partition) do update set epoch = excluded.epoch, form = excluded.form, "
    "body = excluded.body, blob = excluded.blob, size = excluded.size where excluded.epoch >= p.epoch; "
    "if not found then raise exception using errcode = 'XD001'; end if; "
    "end if; "
    "when 7 then " /* PROGRESS_CLAIM */
    "perform from progress where pipeline = o.pipeline and source = o.source and partition = o.part for update; "
    "insert into progress as p (pipeline, source, partition, epoch) values (o.pipeline, o.source, o.part, 1) "
    "on conflict (pipeline, source, partition) do update set epoch = p.epoch + 1 returning p.epoch into was; "
    "ret_op := o.n; ret_outcome := 0; ret_epoch := was; return next; "
    /*
     * FENCE; of a commit that claims at once as strong as it will have to be, or two of them would wait for each other; and on a row that is made if there is none yet, or
     * two of them could be the first.
     */
    "when 8 then "
    "if o.c = any(claiming) then "
    "if o.epoch = 0 then "
    "insert into progress (pipeline, source, partition, epoch) values (o.pipeline, o.source, o.part, 0) "
    "on conflict (pipeline, source, partition) do nothing; end if; "
    "select epoch into was from progress where pipeline = o.pipeline and source = o.source and partition = o.part "
    "for update; "
    "else "
    "select epoch into was from progress where pipeline = o.pipeline and source = o.source and partition = o.part "
    "for key share; "
    "end if; "
    "if coalesce(was, 0) <> o.epoch then raise exception using errcode = 'XD001'; end if; "
    "when 9 then " /* INTENT_PUT */
    "select * into i from intent where pipeline = o.pipeline and node = o.node and shard = o.shard for update; "
    "if found and o.seq <> i.seq + i.state then raise exception using errcode = 'XD002'; end if; "
    "insert into intent (pipeline, node, shard, seq, state, form, body, blob, size) values (o.pipeline, o.node, "
    "o.shard, o.seq, 0, o.form, in_row, keep_blob(o.hash, o.size, o.body), o.size) "
    "on conflict (pipeline, node, shard) do update set seq = excluded.seq, state = 0, form = excluded.form, "
    "body = excluded.body, blob = excluded.blob, size = excluded.size; "
    "when 10 then " /* INTENT_DONE */
    "update intent set state = 1, form = 0, body = null, blob = null, size = 0 "
    "where pipeline = o.pipeline and node = o.node and shard = o.shard and seq = o.seq; "
    "if not found then raise exception using errcode = 'XD002'; end if; "
    "when 11 then " /* STATE_PUT */
    "insert into state (pipeline, node, shard, key, form, body, blob, size) values (o.pipeline, o.node, o.shard, "
    "o.key, o.form, in_row, keep_blob(o.hash, o.size, o.body), o.size) on conflict (pipeline, node, shard, key) "
    "do update set form = excluded.form, body = excluded.body, blob = excluded.blob, size = excluded.size; "
    "when 12 then " /* STATE_DELETE */
    "delete from state where pipeline = o.pipeline and node = o.node and shard = o.shard and key = o.key; "
    "if not found then outcome := 2; end if; "
    "when 13 then " /* TIMER_PUT */
    "insert into timer (pipeline, node, shard, key, due, form, body, blob, size) values (o.pipeline, o.node, o.shard, "
    "o.key, o.due, o.form, in_row, keep_blob(o.hash, o.size, o.body), o.size) "
    "on conflict (pipeline, node, shard, key) do update set due = excluded.due, form = excluded.form, "
    "body = excluded.body, blob = excluded.blob, size = excluded.size; "
    "when 14 then " /* TIMER_DELETE */
    "delete from timer where pipeline = o.pipeline and node = o.node and shard = o.shard and key = o.key; "
    "if not found then outcome := 2; end if; "
    "when 15 then " /* GATE_PUT */
    "if exists(select from gate where id = o.id) then outcome := 1; "
    "else "
    "insert into gate (id, root, root_id, pipeline, node, due, form, body, blob, size) values (o.id, "
    "need_root(o.root), o.root, o.pipeline, o.node, o.due, o.form, in_row, keep_blob(o.hash, o.size, o.body), "
    "o.size); "
    "end if; "
    "when 16 then " /* GATE_DECIDE */
    "select * into g from gate where id = o.id for update; "
    "if not found then outcome := 2; "
    "elsif g.state <> 0 then outcome := 1; "
    "else update gate set state = o.state, at = o.at, cause = o.cause where k = g.k; end if; "
    "when 17 then " /* DEAD_PUT */
    "if exists(select from dead where id = o.id) then outcome := 1; "
    "else "
    "insert into dead (id, root, pipeline, node, cause, at, form, body, blob, size) values (o.id, o.root, o.pipeline, "
    "o.node, o.cause, o.at, o.form, in_row, keep_blob(o.hash, o.size, o.body), o.size); "
    "if dead_age is not null then perform sweep_dead(o.at - dead_age); end if; "
    "end if; "
    "when 18 then " /* DEAD_DELETE */
    "select k into was from dead where id = o.id; "
    "if not found then outcome := 2; else perform remove_dead(was); end if; "
    "when 19 then " /* DEAD_REPLAYED */
    "update dead set replays = replays + 1, replayed = o.at where id = o.id; "
    "if not found then outcome := 2; end if; "
    "end case; "
    "if outcome <> 0 then ret_op := o.n; ret_outcome := outcome; ret_epoch := null; return next; end if; "
    "end loop; "
    "exception when sqlstate 'XD001' or sqlstate 'XD002' or sqlstate 'XD003' or sqlstate 'XD004' then "
    "ret_op := now_commit; ret_outcome := - right(sqlstate, 1)::integer; ret_epoch := now_op; return next; "
    "end; end $f$;";

_Static_assert(JOURNAL_PROGRESS_CLAIM == 7 && JOURNAL_FENCE == 8 && JOURNAL_DEAD_REPLAYED == 19 &&
                   JOURNAL_OP_KINDS == 20,
               "bring_about() knows operations by their numbers, as stored layouts do: a new one comes last");

static const char *const layout_1[] = {tables, blobs, parts, commit, NULL};
static const char *const layout_2[] = {commit, NULL}; /* RESTARTED has a state */
static const char *const *const layouts[] = {layout_1, layout_2};

enum { LAYOUT_MAX = 64 << 10 };

/* One process at a time; what is created is in the schema. */
#define BEGIN                                                                                                          \
    "do $layout$ begin perform pg_advisory_xact_lock(hashtext('crossdock_journal')); "                                 \
    "if to_regnamespace('crossdock_journal') is null then create schema crossdock_journal; end if; "                   \
    "set local search_path = crossdock_journal; "
#define END " end $layout$"

/* Where the layout's number is kept. */
static const char prepare[] = BEGIN "if to_regclass('crossdock_journal.layout') is null then "
                                    "create table layout(version integer not null); "
                                    "insert into layout values (0); end if;" END;

/* From the layout before to this one, unless another process was quicker. */
static SUSPENDS err_t apply_layout(struct postgres *db, size_t number, struct arena *a)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(LAYOUT_MAX);

    (void)buf_addf(&text, "%sif (select version from layout) = %zu then ", BEGIN, number);
    for (const char *const *part = layouts[number]; *part; part++)
        (void)buf_add(&text, str_from_c(*part));
    (void)buf_addf(&text, "update layout set version = %zu; end if;%s", number + 1, END);
    TRY(buf_status(&text));
    return postgres_do(db, buf_str(&text), NULL, 0, a, NULL);
}

err_t postgres_journal_migrate(struct postgres *db)
{
    struct arena a CLEANUP(arena_release) = {0};
    struct postgres_rows rows;
    uint64_t version = 0;

    arena_init(&a, 1 << 20);
    TRY(postgres_do(db, str_from_c(prepare), NULL, 0, &a, NULL));
    TRY(postgres_do(db, STR("select version from crossdock_journal.layout"), NULL, 0, &a, &rows));
    if (rows.rows != 1 || !str_to_u64(rows.cells[0], INT32_MAX, &version) || version > ARRAY_LEN(layouts))
        return fail(E_CONFIG, "the journal in this database is another program's, or a newer version's");
    for (size_t i = version; i < ARRAY_LEN(layouts); i++)
        TRY(apply_layout(db, i, &a));
    return OK;
}
