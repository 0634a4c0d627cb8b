/*
 * stores.c - where the crash matrix sends to and what comes again is known by a key: an object store, and two that keep vectors.
 *
 * What is read is what the store has in the end: each key once. So a number that is there twice was sent under two keys, or came again as something else.
 */
#include "crash/crash.h"

#include "brokers/pipelines.h"
#include "codec/digest.h"
#include "crash/stand_in.h"

#include <dirent.h>

/* --- an object store: each object a file --- */

enum { OBJECT_MAX = 16384, SILENT_OBJECT = 1, SILENT_MANIFEST = 2, SILENT_OF = 4 };

static const char manifest_ending[] = ".manifest.json", object_ending[] = ".ndjson", changed[] = "changed";
static struct stand_in objects;

/* Its bytes, with a NUL behind them; 0: there is no such file. */
static size_t read_whole(const char *path, char text[OBJECT_MAX])
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, OBJECT_MAX - 1, f) : 0;

    text[n] = '\0';
    if (f)
        (void)fclose(f);
    return n;
}

static void write_whole(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");

    if (!f || fwrite(text, 1, n, f) != n || fclose(f))
        die("cannot write %s", path);
}

static bool ends_in(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);

    return n >= m && strcmp(name + n - m, ending) == 0;
}

/* What a manifest names counts, and may be written again, but not otherwise. */
static void look_at_change(const char *folder, const char *path, const struct stand_in_request *q)
{
    static char before[OBJECT_MAX];
    char other[300];
    size_t n = read_whole(path, before);

    if (!n || (n == q->body_bytes && memcmp(before, q->body, n) == 0))
        return;
    (void)snprintf(other, sizeof other, "%.*s%s", (int)(strlen(path) - strlen(object_ending)), path, manifest_ending);
    if (ends_in(path, object_ending) && access(other, F_OK))
        return; /* nobody has seen it yet */
    (void)snprintf(other, sizeof other, "%s/%s", folder, changed);
    write_whole(other, path, strlen(path));
}

/* Of each four batches one whose object, and one whose manifest, is written without an answer the first time. */
static bool is_silent(const char *name)
{
    const char *number = strrchr(name, '-');
    unsigned left = number ? (unsigned)strtoul(number + 1, NULL, 10) % SILENT_OF : 0;

    return left == (ends_in(name, manifest_ending) ? SILENT_MANIFEST : SILENT_OBJECT);
}

static int serve_objects(const struct stand_in *s, const struct stand_in_request *q,
                         char reply[STAND_IN_REPLY_MAX] UNUSED)
{
    char name[128], folder[64], path[256];
    unsigned number = 0;

    if (sscanf(q->path, "/bucket/%u/%127[^/]", &number, name) != 2 || q->body_bytes >= OBJECT_MAX)
        return 400;
    (void)snprintf(folder, sizeof folder, "%s/%u", s->folder, number);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    bool is_first = access(path, F_OK) != 0;
    if (strcmp(q->method, "HEAD") == 0)
        return is_first ? 404 : 200;
    if (strcmp(q->method, "PUT") != 0)
        return 405;
    (void)mkdir(folder, 0700);
    look_at_change(folder, path, q);
    write_whole(path, q->body, q->body_bytes);
    return is_first && is_silent(name) ? 0 : 200;
}

static bool begin_s3(void)
{
    return stand_in_begin(&objects, serve_objects);
}

static int print_s3_connection(char *to, size_t cap)
{
    return snprintf(to, cap, "  s3: {url: 's3://127.0.0.1:%u/bucket', username: me, password: secret}\n", objects.port);
}

static int print_s3(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "s3: '%u/'", c->number);
}

/* The numbers of the object that a manifest names, which must be as it says. */
static void read_object(const char *folder, const char *manifest, unsigned *ret, size_t max, size_t *count)
{
    static char text[OBJECT_MAX];
    char path[512], name[128], told[2 * SHA256_HEX], hex[SHA256_HEX];
    unsigned char hash[SHA256_BYTES];
    unsigned records = 0;
    size_t before = *count;

    (void)snprintf(path, sizeof path, "%s/%s", folder, manifest);
    (void)read_whole(path, text);
    CHECK_EQ(sscanf(text, "{\"object\":\"%*u/%127[^\"]\",\"records\":%u,\"bytes\":%*u,\"sha256\":\"%64[0-9a-f]\"}",
                    name, &records, told),
             3);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    sha256(str_of(text, read_whole(path, text)), hash);
    hex_encode(hex, hash, sizeof hash);
    CHECK_STR(str_of(hex, sizeof hex), told);
    for (const char *at = text; at && *count < max && sscanf(at, " {\"n\":%u}", &ret[*count]) == 1;) {
        ++*count;
        at = strchr(at + 1, '\n');
    }
    CHECK_EQ(*count - before, records);
}

static int is_manifest(const struct dirent *entry)
{
    return ends_in(entry->d_name, manifest_ending);
}

/* In the order of the manifests' names, which is that of the batches. */
static size_t read_s3(const struct crash_case *c, unsigned *ret, size_t max)
{
    char folder[64], path[80];
    struct dirent **manifests = NULL;
    size_t count = 0;

    (void)snprintf(folder, sizeof folder, "%s/%u", objects.folder, c->number);
    (void)snprintf(path, sizeof path, "%s/%s", folder, changed);
    if (access(path, F_OK) == 0)
        test_fail_(__FILE__, __LINE__, "what counted already was written otherwise: see %s", path);
    int n = scandir(folder, &manifests, is_manifest, alphasort);
    for (int i = 0; i < n; i++) {
        read_object(folder, manifests[i]->d_name, ret, max, &count);
        free(manifests[i]);
    }
    free(manifests);
    return count;
}

const struct crash_sink crash_s3 = {.name = "s3",
                                    .keeps_one = true,
                                    .begin = begin_s3,
                                    .print = print_s3,
                                    .print_connection = print_s3_connection,
                                    .read = read_s3};

/* --- points and documents: {"n":…} by their id --- */

enum { SILENT_EACH = 11, ID_MAX = 64 };

static struct stand_in points, documents;

/* What the case that runs has. A number under another id, or another number under the id, is one more line of its file. */
struct kept {
    unsigned number, count;
    struct {
        char id[ID_MAX];
        unsigned n;
    } all[CRASH_READ_MAX];
};

/* True: it is new. */
static bool keep(const struct stand_in *s, struct kept *k, unsigned number, const char *id, unsigned n)
{
    if (number != k->number) {
        k->number = number;
        k->count = 0;
    }
    for (unsigned i = 0; i < k->count; i++)
        if (k->all[i].n == n && strcmp(k->all[i].id, id) == 0)
            return false;
    if (k->count == CRASH_READ_MAX)
        die("a case sends without end");
    k->all[k->count].n = n;
    (void)snprintf(k->all[k->count++].id, ID_MAX, "%s", id);
    stand_in_note(s, number, n);
    return true;
}

/* Qdrant: {"points":[{"id":…,"vector":…,"payload":{"n":…}},…]} */
static int serve_points(const struct stand_in *s, const struct stand_in_request *q, char reply[STAND_IN_REPLY_MAX])
{
    static struct kept kept;
    unsigned number, n;
    char id[ID_MAX];
    bool is_silent = false;

    if (strcmp(q->method, "PUT") != 0 || sscanf(q->path, "/collections/c%u/points?wait=true", &number) != 1)
        return 404;
    for (const char *at = q->body; (at = strstr(at, "{\"id\":\"")); at++) {
        const char *payload = strstr(at, "\"payload\":");
        if (!payload || sscanf(at, "{\"id\":\"%36[0-9a-f-]\"", id) != 1 ||
            sscanf(payload, "\"payload\":{\"n\":%u}", &n) != 1)
            return 400;
        is_silent |= keep(s, &kept, number, id, n) && n % SILENT_EACH == 0;
    }
    (void)snprintf(reply, STAND_IN_REPLY_MAX, "{\"status\":\"ok\"}");
    return is_silent ? 0 : 200;
}

/* OpenSearch: a line {"index":{"_id":…}} and one of the document, of each. */
static int serve_documents(const struct stand_in *s, const struct stand_in_request *q, char reply[STAND_IN_REPLY_MAX])
{
    static struct kept kept;
    unsigned number, n;
    char id[ID_MAX];
    bool is_silent = false;
    int told = snprintf(reply, STAND_IN_REPLY_MAX, "{\"errors\":false,\"items\":[");

    if (strcmp(q->method, "POST") != 0 || sscanf(q->path, "/c%u/_bulk", &number) != 1)
        return 404;
    for (const char *at = q->body; (at = strstr(at, "{\"index\":")); at++) {
        const char *document = strchr(at, '\n');
        if (!document || sscanf(at, "{\"index\":{\"_id\":\"%63[^\"]\"", id) != 1 ||
            sscanf(document, "\n{\"n\":%u", &n) != 1)
            return 400;
        is_silent |= keep(s, &kept, number, id, n) && n % SILENT_EACH == 0;
        told += snprintf(reply + told, (size_t)(STAND_IN_REPLY_MAX - told), "%s{\"index\":{\"status\":201}}",
                         strchr(reply, '[')[1] ? "," : "");
    }
    (void)snprintf(reply + told, (size_t)(STAND_IN_REPLY_MAX - told), "]}");
    return is_silent ? 0 : 200;
}

static size_t read_kept(const struct stand_in *s, const struct crash_case *c, unsigned *ret, size_t max)
{
    char name[16];

    (void)snprintf(name, sizeof name, "%u", c->number);
    return read_numbers(s->folder, name, ret, max);
}

static bool begin_qdrant(void)
{
    return stand_in_begin(&points, serve_points);
}

static int print_qdrant_connection(char *to, size_t cap)
{
    return snprintf(to, cap, "  qdrant: {url: 'http://127.0.0.1:%u'}\n", points.port);
}

static int print_qdrant(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "qdrant: {collection: c%u, vector: '[.n, 1]', payload: .}", c->number);
}

static size_t read_qdrant(const struct crash_case *c, unsigned *ret, size_t max)
{
    return read_kept(&points, c, ret, max);
}

const struct crash_sink crash_qdrant = {.name = "qdrant",
                                        .keeps_one = true,
                                        .begin = begin_qdrant,
                                        .print = print_qdrant,
                                        .print_connection = print_qdrant_connection,
                                        .read = read_qdrant};

static bool begin_opensearch(void)
{
    return stand_in_begin(&documents, serve_documents);
}

static int print_opensearch_connection(char *to, size_t cap)
{
    return snprintf(to, cap, "  opensearch: {url: 'http://127.0.0.1:%u'}\n", documents.port);
}

static int print_opensearch(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "opensearch: {index: c%u, vector: '[.n, 1]', payload: .}", c->number);
}

static size_t read_opensearch(const struct crash_case *c, unsigned *ret, size_t max)
{
    return read_kept(&documents, c, ret, max);
}

const struct crash_sink crash_opensearch = {.name = "opensearch",
                                            .keeps_one = true,
                                            .begin = begin_opensearch,
                                            .print = print_opensearch,
                                            .print_connection = print_opensearch_connection,
                                            .read = read_opensearch};
