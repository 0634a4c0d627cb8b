/* stand_in.c - servers in processes of their own. */
#include "crash/stand_in.h"

#include "brokers/server.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { REQUEST_MAX = 65536, ALL_MAX = 8 };

static struct stand_in *all[ALL_MAX];
static size_t count;

__attribute__((destructor)) static void end_all(void)
{
    for (size_t i = 0; i < count; i++) {
        (void)kill(all[i]->pid, SIGKILL);
        (void)waitpid(all[i]->pid, NULL, 0);
        (void)nftw(all[i]->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

void stand_in_note(const struct stand_in *s, unsigned number, unsigned n)
{
    char path[80];

    (void)snprintf(path, sizeof path, "%s/%u", s->folder, number);
    FILE *f = fopen(path, "a");
    if (!f || fprintf(f, "{\"n\":%u}\n", n) < 0 || fclose(f))
        die("cannot write %s", path);
}

/* A whole request, in `text`: head, and as much body as it says. False: it broke off. */
static bool take_request(int fd, char *text, struct stand_in_request *ret)
{
    size_t n = 0;

    while (n < REQUEST_MAX - 1) {
        ssize_t got = read(fd, text + n, REQUEST_MAX - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        text[n] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\ncontent-length:");
        if (!end)
            continue;
        ret->head = text;
        ret->body = end + 4;
        ret->body_bytes = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
        if (n >= (size_t)(ret->body - text) + ret->body_bytes)
            return sscanf(text, "%7s %511s", ret->method, ret->path) == 2;
    }
    return false;
}

static void serve_one(const struct stand_in *s, stand_in_fn *fn, int fd)
{
    static char text[REQUEST_MAX], reply[STAND_IN_REPLY_MAX], answer[STAND_IN_REPLY_MAX + 256];
    struct stand_in_request q;

    if (!take_request(fd, text, &q))
        return;
    reply[0] = '\0';
    int status = fn(s, &q, reply);
    if (!status)
        return;
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 %d It\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                     status, strlen(reply), reply);
    (void)!write(fd, answer, (size_t)n);
}

static void serve(const struct stand_in *s, stand_in_fn *fn, int listener)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(1);
        serve_one(s, fn, fd);
        (void)close(fd);
    }
}

bool stand_in_begin(struct stand_in *s, stand_in_fn *fn)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;

    if (s->pid)
        return true;
    (void)snprintf(s->folder, sizeof s->folder, "/tmp/crossdock-crash-XXXXXX");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!mkdtemp(s->folder) || fd < 0 || count == ALL_MAX || bind(fd, (struct sockaddr *)&at, sizeof at) ||
        listen(fd, 64) || getsockname(fd, (struct sockaddr *)&at, &n))
        die("no HTTP server");
    s->port = ntohs(at.sin_port);
    s->pid = fork();
    if (s->pid == 0)
        serve(s, fn, fd);
    (void)close(fd);
    all[count++] = s;
    return true;
}
