/* SPDX-License-Identifier: MIT */
#include "balancer/access_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "io/file.h"
#include "io/gzip.h"
#include "io/loop.h"

#define INTERVAL_MS (5 * 60 * 1000)
#define SIZE_MAX_BYTES (64 << 20)
#define COMPLAIN_MS 60000
#define DEPTH_MAX 24 /* of folders below the root */
#define SUFFIX ".log.gz"

struct open_file { /* of one load balancer */
    char *folder, *name; /* without dot and ending */
    char *key;           /* whose: bucket, prefix, region, load balancer */
    int fd;
    int64_t end_ms, size;
    struct open_file *next;
};

struct kept_file {
    char *path;
    int64_t size, time_ms;
};

struct access_files {
    char *root, *account, *address;
    int64_t budget_bytes, lost_bytes, complained_ms;
    struct open_file *open;
    struct crew *crew;

    pthread_mutex_t lock; /* of what follows, and of folders: the crew's thread adds what it compressed */
    struct kept_file *kept;
    size_t kept_count, kept_capacity;
    int64_t kept_bytes;
};

/* ---- what is kept ---- */

/* By age; of those that ended together, by name, which has the date. */
static int
compare_kept(const void *a, const void *b)
{
    const struct kept_file *x = a, *y = b;

    return x->time_ms != y->time_ms ? (x->time_ms > y->time_ms ? 1 : -1) : strcmp(x->path, y->path);
}

/* A folder that became empty goes with its last file; the root stays. */
static void
remove_empty_folders(const struct access_files *f, char *path)
{
    for (char *slash = strrchr(path, '/'); slash != NULL && (size_t)(slash - path) > strlen(f->root);
         slash = strrchr(path, '/')) {
        *slash = '\0';
        if (rmdir(path) < 0)
            return;
    }
}

static void
keep_budget(struct access_files *f)
{
    size_t gone = 0;

    while (gone < f->kept_count && f->kept_bytes > f->budget_bytes) {
        struct kept_file *k = &f->kept[gone++];

        if (unlink(k->path) < 0 && errno != ENOENT)
            log_warn("access_log.unlink", "path=%s error=%s", log_quote(k->path), log_quote(strerror(errno)));
        log_info("access_log.forgotten", "path=%s", log_quote(k->path));
        f->kept_bytes -= k->size;
        remove_empty_folders(f, k->path);
        free(k->path);
    }
    f->kept_count -= gone;
    if (gone > 0)
        memmove(f->kept, f->kept + gone, f->kept_count * sizeof(*f->kept));
}

static void
keep(struct access_files *f, char *path, int64_t size, int64_t time_ms)
{
    if (f->kept_count == f->kept_capacity) {
        f->kept_capacity = f->kept_capacity == 0 ? 64 : f->kept_capacity * 2;
        f->kept = mem_grow(f->kept, f->kept_capacity, sizeof(*f->kept));
    }
    f->kept[f->kept_count++] = (struct kept_file){path, size, time_ms};
    f->kept_bytes += size;
}

/* ---- ending a file ---- */

struct ended {
    struct access_files *files;
    char *folder, *name;
};

static void
compress(void *arg)
{
    struct ended *e = arg;
    struct access_files *f = e->files;
    cleanup_free char *plain = text_format("%s/.%s.log", e->folder, e->name);
    char *whole = text_format("%s/%s" SUFFIX, e->folder, e->name);
    int64_t size = 0;
    struct err err;

    if (!gzip_file(plain, whole, &size, &err)) {
        log_error("access_log.compress", "path=%s error=%s", log_quote(plain), log_quote(err.message));
        free(whole); /* it stays plain, and is tried again at the next start */
    } else {
        (void)unlink(plain);
        pthread_mutex_lock(&f->lock);
        keep(f, whole, size, clock_wall_ms());
        keep_budget(f);
        pthread_mutex_unlock(&f->lock);
    }
    free(e->folder);
    free(e->name);
    free(e);
}

static void
end_later(struct access_files *f, char *folder, char *name)
{
    struct ended *e = mem_new(sizeof(*e));

    *e = (struct ended){f, folder, name};
    crew_post(f->crew, compress, e);
}

static void
end_file(struct access_files *f, struct open_file *o)
{
    (void)close(o->fd);
    end_later(f, o->folder, o->name);
    free(o->key);
    free(o);
}

/* ---- what there is at the start ---- */

static void
look_at(struct access_files *f, const char *folder, const char *name)
{
    const struct str text = str_of(name);
    cleanup_free char *path = text_format("%s/%s", folder, name);
    struct stat st;

    if (str_find(text, STR("_elasticloadbalancing_")) < 0 || stat(path, &st) < 0)
        return; /* not ours */
    if (str_ends(text, STR(SUFFIX)) && name[0] != '.')
        keep(f, TAKE(path), st.st_size, (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    else if (str_ends(text, STR(SUFFIX ".part")))
        (void)unlink(path);
    else if (name[0] == '.' && str_ends(text, STR(".log")))
        end_later(f, text_dup(folder), str_dup(str_slice(text, 1, text.len - 4)));
}

static void
look_into(struct access_files *f, const char *folder, int depth)
{
    DIR *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type == DT_DIR) {
            cleanup_free char *below = text_format("%s/%s", folder, entry->d_name);
            look_into(f, below, depth + 1);
        } else if (entry->d_type == DT_REG) {
            look_at(f, folder, entry->d_name);
        }
    }
    if (dir != NULL)
        (void)closedir(dir);
}

struct access_files *
access_files_new(const struct access_files_config *config)
{
    struct access_files *f = mem_new(sizeof(*f));

    f->root = text_dup(config->root);
    f->account = text_dup(config->account);
    f->address = text_dup(config->address);
    f->budget_bytes = config->budget_bytes;
    f->crew = crew_new("access_log", 1);
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_lock(&f->lock);
    look_into(f, f->root, 0);
    if (f->kept_count > 0)
        qsort(f->kept, f->kept_count, sizeof(*f->kept), compare_kept);
    keep_budget(f);
    pthread_mutex_unlock(&f->lock);
    return f;
}

void
access_files_free(struct access_files *f)
{
    if (f == NULL)
        return;
    for (struct open_file *o = f->open, *next; o != NULL; o = next) {
        next = o->next;
        end_file(f, o);
    }
    crew_free(f->crew);
    for (size_t i = 0; i < f->kept_count; i++)
        free(f->kept[i].path);
    free(f->kept);
    pthread_mutex_destroy(&f->lock);
    free(f->root);
    free(f->account);
    free(f->address);
    free(f);
}

/* ---- writing ---- */

static void
complain(struct access_files *f, size_t lost, const char *why)
{
    const int64_t now_ms = clock_monotonic_ms();

    f->lost_bytes += (int64_t)lost;
    if (f->complained_ms != 0 && now_ms < f->complained_ms + COMPLAIN_MS)
        return;
    f->complained_ms = now_ms;
    log_error("access_log.write", "lost_bytes=%lld error=%s", (long long)f->lost_bytes, log_quote(why));
}

static void
name_file(const struct access_files *f, const struct access_place *p, struct open_file *o)
{
    char end[24], random[9];
    cleanup_free char *name = text_dup(p->load_balancer);

    for (char *c = name; *c != '\0'; c++)
        if (*c == '/')
            *c = '.';
    clock_format_basic(o->end_ms, end); /* 20260102T030405Z */
    random_hex(random, 8);
    o->name = text_format("%s_elasticloadbalancing_%s_%s_%.13sZ_%s_%s", f->account, p->region, name, end,
                          f->address, random);
    o->folder = text_format("%s/%s%s%s/AWSLogs/%s/elasticloadbalancing/%s/%.4s/%.2s/%.2s", f->root, p->bucket,
                            p->prefix[0] != '\0' ? "/" : "", p->prefix, f->account, p->region, end, end + 4, end + 6);
}

static void
open_file_free(struct open_file *o)
{
    free(o->folder);
    free(o->name);
    free(o->key);
    free(o);
}

/* As one: the crew's thread removes folders that are empty. */
static bool
make_file(struct access_files *f, struct open_file *o, struct err *err)
{
    cleanup_free char *path = text_format("%s/.%s.log", o->folder, o->name);
    bool ok;

    pthread_mutex_lock(&f->lock);
    ok = file_make_dirs(o->folder, 0750, err);
    if (ok) {
        o->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        ok = o->fd >= 0 || err_errno(err, "cannot make '%s'", path);
    }
    pthread_mutex_unlock(&f->lock);
    return ok;
}

static struct open_file *
open_new(struct access_files *f, const struct access_place *p, char *key, int64_t now_ms, struct err *err)
{
    struct open_file *o = mem_new(sizeof(*o));

    o->key = key;
    o->end_ms = (now_ms / INTERVAL_MS + 1) * INTERVAL_MS;
    name_file(f, p, o);
    if (!make_file(f, o, err)) {
        open_file_free(o);
        return NULL;
    }
    o->next = f->open;
    f->open = o;
    return o;
}

static struct open_file *
find_open(struct access_files *f, const struct access_place *p, int64_t now_ms, struct err *err)
{
    char *key = text_format("%s\n%s\n%s\n%s", p->bucket, p->prefix, p->region, p->load_balancer);

    for (struct open_file *o = f->open; o != NULL; o = o->next)
        if (strcmp(o->key, key) == 0 && o->size < SIZE_MAX_BYTES && now_ms < o->end_ms) {
            free(key);
            return o;
        }
    return open_new(f, p, key, now_ms, err);
}

static bool
is_due(const struct open_file *o, int64_t now_ms)
{
    return o->size >= SIZE_MAX_BYTES || now_ms >= o->end_ms ||
           now_ms < o->end_ms - 2 * INTERVAL_MS; /* the clock was put back */
}

void
access_files_turn(struct access_files *f, int64_t now_ms)
{
    for (struct open_file **at = &f->open; *at != NULL;) {
        struct open_file *o = *at;

        if (!is_due(o, now_ms)) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        end_file(f, o);
    }
}

void
access_files_write(struct access_files *f, const struct access_place *place, struct str entries, int64_t now_ms)
{
    struct err err;
    struct open_file *o = find_open(f, place, now_ms, &err);

    if (o == NULL || !file_write_all(o->fd, entries, &err))
        complain(f, entries.len, err.message);
    else
        o->size += (int64_t)entries.len;
}

int64_t
access_files_lost(const struct access_files *f)
{
    return f->lost_bytes;
}
