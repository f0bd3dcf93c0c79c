/* SPDX-License-Identifier: MIT */
/* room_disk.c - what builds take of the disk: measured behind each build by a thread of its own, and made
 * less when there is too much of it.  First goes what nobody can ask for any more (workspaces of branches
 * that are gone, builds that their Jenkinsfile gives up), then the workspaces that were not used for
 * longest, then, for the budget only, the oldest builds of branches that have no `buildDiscarder`.
 * Where builds work is never touched.  Under the least free space no new build begins; if it is others who
 * fill the disk (Docker's images), so that it would not be reached without all these workspaces either, they stay. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "io/tree.h"
#include "pipeline/room.h"

#define LOOK_EVERY_MS 1000

static bool
is_stopping(void *arg)
{
    const struct pipeline_room *room = arg;

    return atomic_load(&room->stopping);
}

/* ---- how things stand; with the lock held ---- */

static int64_t
builds_bytes(const struct pipeline_room *room)
{
    int64_t bytes = 0;

    for (size_t p = 0; p < room->store.count; p++)
        for (size_t i = 0; i < room->store.pipelines[p]->build_count; i++) {
            const int64_t of_one = room->store.pipelines[p]->builds[i]->disk_bytes;
            bytes += of_one > 0 ? of_one : 0;
        }
    return bytes;
}

static bool
is_over_budget(const struct pipeline_room *room)
{
    const struct room_disk *d = &room->disk;

    return d->budget_bytes > 0 && disk_book_bytes(&d->book) + builds_bytes(room) > d->budget_bytes;
}

static bool
is_too_full(const struct room_disk *d)
{
    return d->floor_bytes > 0 && d->free_bytes < d->floor_bytes;
}

void
room_tell_queued(const struct pipeline_room *room, const char *why)
{
    for (size_t p = 0; p < room->store.count; p++)
        for (size_t i = 0; i < room->store.pipelines[p]->build_count; i++) {
            struct build *b = room->store.pipelines[p]->builds[i];
            if (b->state == BUILD_QUEUED && b->started_ms == 0)
                room_set_waiting(b, why);
        }
}

/* A file that cannot be read (each build says what is wrong with it) changes nothing: what is removed by a
 * budget that nobody asked for does not come back. */
static void
look(struct pipeline_room *room)
{
    struct room_disk *d = &room->disk;
    const bool was_full = is_too_full(d), is_first = d->looked_ms == 0;
    struct builds_config config;
    struct statvfs fs;
    struct err err;
    int64_t all;
    bool is_read;

    d->looked_ms = clock_monotonic_ms();
    is_read = builds_config_read(room->config.data_dir, "", false, &config, &err);
    if (statvfs(room->config.data_dir, &fs) != 0)
        return;
    all = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize;
    d->free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (is_read)
        d->budget_bytes = builds_disk_bytes(&config, all);
    if (is_read || is_first)
        d->floor_bytes = builds_disk_free_bytes(&config, all);
    d->is_of_others = d->is_of_others && is_too_full(d);
    if (was_full && !is_too_full(d))
        room_tell_queued(room, NULL);
}

static void
wake(struct pipeline_room *room)
{
    room->disk.is_due = true;
    pthread_cond_signal(&room->disk.wake);
}

bool
room_disk_allows(struct pipeline_room *room)
{
    struct room_disk *d = &room->disk;
    cleanup_free char *why = NULL;
    const bool is_due = clock_monotonic_ms() >= d->looked_ms + LOOK_EVERY_MS;

    if (!d->is_running)
        return true;
    if (is_due)
        look(room);
    if (!is_too_full(d))
        return true;
    if (is_due)
        wake(room);
    why = text_format("the disk of the data directory has less free space than %lld MiB "
                      "(diskFree in builds.json)%s",
                      (long long)(d->floor_bytes >> 20),
                      d->is_of_others ? ", and it is not workspaces that fill it: see `docker system df`, "
                                        "`docker image prune`"
                                      : "");
    room_tell_queued(room, why);
    return false;
}

struct json *
room_disk_json(const struct pipeline_room *room)
{
    const struct room_disk *d = &room->disk;
    struct json *j = json_object();

    json_set(j, "workspaceBytes", json_int(disk_book_bytes(&d->book)));
    json_set(j, "buildBytes", json_int(builds_bytes(room)));
    json_set(j, "budgetBytes", json_int(d->budget_bytes));
    json_set(j, "freeBytes", json_int(d->free_bytes));
    json_set(j, "minimumFreeBytes", json_int(d->floor_bytes));
    json_set(j, "buildsWait", json_bool(is_too_full(d)));
    return j;
}

/* ---- what builds do ---- */

/* As the folder of the branch is named: beside "main" there are "main@2" and "main@tmp", which no branch
 * has; nor has any "main%+1". */
static void
add_place(struct strbuf *out, const char *branch)
{
    for (const char *c = branch; *c != '\0'; c++) {
        if (*c == '/' || *c == '%' || *c == '@')
            strbuf_addf(out, "%%%02X", (unsigned)(unsigned char)*c);
        else
            strbuf_add_char(out, *c);
    }
}

char *
room_place_name(const struct build *b)
{
    cleanup(strbuf_done) struct strbuf name = {0};

    add_place(&name, b->branch);
    if (b->place != 0)
        strbuf_addf(&name, "%%+%lld", (long long)b->place);
    return strbuf_take(&name);
}

void
room_disk_began(struct pipeline_room *room, const struct build *b)
{
    cleanup_free char *name = room_place_name(b);
    struct disk_place *p = disk_book_enter(&room->disk.book, b->pipeline, name);

    if (p == NULL)
        return;
    p->used_ms = clock_wall_ms();
    p->is_stale = true;
    p->is_gone = p->is_gone && b->resumed > 0; /* a new build: the branch is there again */
}

void
room_disk_ended(struct pipeline_room *room, struct build *b)
{
    cleanup_free char *name = room_place_name(b);
    struct disk_place *p = disk_book_find(&room->disk.book, b->pipeline, name);

    if (p != NULL) {
        p->used_ms = clock_wall_ms();
        p->is_stale = true;
    }
    b->disk_bytes = -1;
    wake(room);
}

bool
room_disk_gone(struct pipeline_room *room, const char *pipeline, const char *branch)
{
    cleanup(strbuf_done) struct strbuf name = {0};
    struct disk_book *book = &room->disk.book;
    bool found = false;

    if (!room->disk.is_running)
        return false;
    add_place(&name, branch);
    for (size_t i = 0; i < book->count; i++) {
        struct disk_place *p = &book->places[i];
        const struct str rest = str_slice(str_of(p->name), name.len, SIZE_MAX);
        if (strcmp(p->pipeline, pipeline) != 0 || !str_starts(str_of(p->name), strbuf_str(&name)) ||
            (rest.len > 0 && !str_starts(rest, STR("%+"))))
            continue;
        p->is_gone = found = true;
    }
    if (found)
        wake(room);
    return found;
}

void
room_disk_keep(struct pipeline_room *room)
{
    struct room_disk *d = &room->disk;
    cleanup_free char *path = text_format("%s/workspaces/.disk.json", room->config.data_dir), *text = NULL;
    struct err err;

    pthread_mutex_lock(&d->keeping); /* what is newer is written last */
    room_lock(room);
    text = disk_book_text(&d->book);
    room_unlock(room);
    if (file_exists(room->config.data_dir) && !file_write_atomic(path, str_of(text), 0640, &err))
        log_warn("disk.book", "error=%s", log_quote(err.message));
    pthread_mutex_unlock(&d->keeping);
}

/* ---- measuring ---- */

/* Does it work in its workspace, or will it, as it is to be taken up or begins at a later stage? */
static bool
needs_place(const struct build *b)
{
    return b->state != BUILD_ENDED &&
           (b->state != BUILD_QUEUED || b->started_ms != 0 || b->restart_stage != NULL);
}

static bool
is_in_use(const struct pipeline *p, const char *name)
{
    for (size_t i = 0; i < p->build_count; i++) {
        const struct build *b = p->builds[i];
        cleanup_free char *of_build = NULL;
        if (!needs_place(b))
            continue;
        of_build = room_place_name(b);
        if (strcmp(of_build, name) == 0)
            return true;
    }
    return false;
}

/* One that could not be loaded may have builds that go on. */
static bool
is_lost(const struct pipeline_room *room, const char *pipeline)
{
    cleanup_free char *builds = text_format("%s/builds/%s", room->config.data_dir, pipeline);

    return pipeline_store_find(&room->store, pipeline) == NULL && file_exists(builds);
}

static bool
may_go(void *arg, const struct disk_place *place)
{
    const struct pipeline_room *room = arg;
    const struct pipeline *p = pipeline_store_find(&room->store, place->pipeline);

    return p != NULL ? !is_in_use(p, place->name) : !is_lost(room, place->pipeline);
}

/* "main" of "main@2@tmp" */
static struct str
place_of(const char *folder)
{
    const struct str s = str_of(folder);
    const ptrdiff_t at = str_index(s, '@');

    return at < 0 ? s : str_slice(s, 0, (size_t)at);
}

static char *
workspaces(const struct pipeline_room *room)
{
    return text_format("%s/workspaces", room->config.data_dir);
}

/* For each folder of a pipeline's: those of one place, or (`name` NULL) all. */
static void
each_folder(const struct pipeline_room *room, const char *pipeline, const char *name,
            void (*each)(void *arg, const char *below, struct str place), void *arg)
{
    cleanup_free char *root = workspaces(room);
    cleanup_free char *path = text_format("%s/%s", root, pipeline);
    DIR *d = opendir(path);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        cleanup_free char *below = text_format("%s/%s", pipeline, e->d_name);
        const struct str place = place_of(e->d_name);
        if (e->d_name[0] != '.' && place.len > 0 && (name == NULL || str_is(place, name)))
            each(arg, below, place);
    }
    if (d != NULL)
        closedir(d);
}

struct measure {
    struct pipeline_room *room;
    const char *root;
    int64_t bytes;
    bool ok;
    struct err err;
};

static void
measure_folder(void *arg, const char *below, struct str place)
{
    struct measure *m = arg;
    int64_t bytes;

    (void)place;
    if (m->ok && tree_bytes(m->root, below, is_stopping, m->room, &bytes, &m->err))
        m->bytes += bytes;
    else
        m->ok = false;
}

static void
enter_measure(struct pipeline_room *room, const char *pipeline, const char *name,
              const struct measure *m)
{
    struct disk_place *p;

    room_lock(room);
    p = disk_book_find(&room->disk.book, pipeline, name);
    if (p != NULL && m->ok && m->bytes == 0 && may_go(room, p))
        disk_book_drop(&room->disk.book, p); /* nothing is there */
    else if (p != NULL) {
        p->bytes = m->ok ? m->bytes : p->bytes;
        p->is_stale = false; /* a build that has begun meanwhile says so at its end */
    }
    room_unlock(room);
    if (!m->ok && !is_stopping(room))
        log_warn("disk.measure", "error=%s", log_quote(m->err.message));
}

/* From `*from` on, which moves behind it; one that is moved meanwhile is seen the next time. */
static bool
next_place(struct pipeline_room *room, size_t *from, char **pipeline, char **name)
{
    const struct disk_book *book = &room->disk.book;

    room_lock(room);
    for (; *from < book->count && *name == NULL; ++*from)
        if (book->places[*from].is_stale && may_go(room, &book->places[*from])) {
            *pipeline = text_dup(book->places[*from].pipeline);
            *name = text_dup(book->places[*from].name);
        }
    room_unlock(room);
    return *name != NULL;
}

static void
measure_places(struct pipeline_room *room)
{
    cleanup_free char *root = workspaces(room);
    size_t from = 0;

    while (!is_stopping(room)) {
        cleanup_free char *pipeline = NULL, *name = NULL;
        struct measure m = {.room = room, .root = root, .ok = true};
        if (!next_place(room, &from, &pipeline, &name))
            return;
        each_folder(room, pipeline, name, measure_folder, &m);
        if (!is_stopping(room))
            enter_measure(room, pipeline, name, &m);
    }
}

/* Of one build; the lock is given up meanwhile. */
static void
measure_build(struct pipeline_room *room, const char *root, const struct build *of)
{
    cleanup_free char *below = text_format("%s/%lld", of->pipeline, (long long)of->number);
    cleanup_free char *pipeline = text_dup(of->pipeline);
    const int64_t number = of->number;
    struct build *b;
    int64_t bytes;
    struct err err;
    bool ok;

    room_unlock(room);
    ok = tree_bytes(root, below, is_stopping, room, &bytes, &err);
    room_lock(room);
    b = pipeline_find_build(&room->store, pipeline, number);
    if (b == NULL || is_stopping(room))
        return;
    b->disk_bytes = ok ? bytes : 0;
    if (!ok || !build_save(b, room->config.data_dir, &err))
        log_warn("disk.measure", "error=%s", log_quote(err.message));
}

/* What comes or goes meanwhile may be passed over: it is seen the next time. */
static void
measure_builds(struct pipeline_room *room)
{
    cleanup_free char *root = text_format("%s/builds", room->config.data_dir);

    room_lock(room);
    for (size_t p = 0; p < room->store.count; p++)
        for (size_t i = 0; i < room->store.pipelines[p]->build_count; i++) {
            const struct build *b = room->store.pipelines[p]->builds[i];
            if (b->state == BUILD_ENDED && b->disk_bytes < 0 && !is_stopping(room))
                measure_build(room, root, b);
        }
    room_unlock(room);
}

/* ---- making room ---- */

struct away {
    const char *root;
    bool ok;
};

static void
let_folder_go(void *arg, const char *below, struct str place)
{
    struct away *a = arg;
    struct err err;

    (void)place;
    if (tree_let_go(a->root, below, &err))
        return;
    a->ok = false;
    log_warn("disk.remove", "error=%s", log_quote(err.message));
}

/* With the lock held: no build begins there meanwhile. */
static bool
let_place_go(struct pipeline_room *room, struct disk_place *p)
{
    cleanup_free char *root = workspaces(room);
    struct away a = {root, true};

    each_folder(room, p->pipeline, p->name, let_folder_go, &a);
    log_info("disk.workspace_removed", "pipeline=%s workspace=%s bytes=%lld reason=%s", p->pipeline,
             log_quote(p->name), (long long)p->bytes,
             p->is_gone                ? "gone"
             : is_too_full(&room->disk) ? "free_space"
                                        : "budget");
    disk_book_drop(&room->disk.book, p); /* what could not go is found at the next start */
    return a.ok;
}

static bool
let_build_go(struct pipeline_room *room)
{
    struct pipeline *p = NULL;
    const struct build *b = pipeline_oldest_build(&room->store, &p);

    if (b == NULL)
        return false;
    log_info("disk.build_removed", "pipeline=%s build=%lld bytes=%lld reason=budget", b->pipeline,
             (long long)b->number, (long long)b->disk_bytes);
    return pipeline_remove_build(&room->store, p, b);
}

static void
mark_used(struct pipeline_room *room, const struct build *b)
{
    cleanup_free char *name = needs_place(b) ? room_place_name(b) : NULL;
    struct disk_place *p =
        name == NULL ? NULL : disk_book_find(&room->disk.book, b->pipeline, name);

    if (p != NULL)
        p->is_used = true;
}

/* Of the workspaces that may go (may_go() looks through all builds for each). */
static int64_t
idle_bytes(struct pipeline_room *room)
{
    struct disk_book *book = &room->disk.book;
    const char *pipeline = ""; /* of the place before */
    bool stays = false;
    int64_t bytes = 0;

    for (size_t i = 0; i < book->count; i++)
        book->places[i].is_used = false;
    for (size_t p = 0; p < room->store.count; p++)
        for (size_t i = 0; i < room->store.pipelines[p]->build_count; i++)
            mark_used(room, room->store.pipelines[p]->builds[i]);
    for (size_t i = 0; i < book->count; i++) {
        const struct disk_place *p = &book->places[i];
        if (strcmp(p->pipeline, pipeline) != 0)
            stays = is_lost(room, p->pipeline);
        pipeline = p->pipeline;
        bytes += p->is_used || stays ? 0 : p->bytes;
    }
    return bytes;
}

/* Would there be enough free space without workspaces? */
static bool
workspaces_would_do(struct pipeline_room *room)
{
    const struct room_disk *d = &room->disk;

    return is_too_full(d) && d->free_bytes + idle_bytes(room) >= d->floor_bytes;
}

static bool
make_less(struct pipeline_room *room)
{
    struct disk_place *victim = disk_book_victim(&room->disk.book, may_go, room);

    if (victim != NULL &&
        (victim->is_gone || is_over_budget(room) || workspaces_would_do(room)))
        return let_place_go(room, victim);
    return is_over_budget(room) && let_build_go(room);
}

static void
remove_gone(struct pipeline_room *room)
{
    static const char *const roots[] = {"workspaces", "builds"};

    for (size_t i = 0; i < ARRAY_COUNT(roots); i++) {
        cleanup_free char *root = text_format("%s/%s", room->config.data_dir, roots[i]);
        struct err err;
        if (!tree_remove_gone(root, is_stopping, room, &err) && !is_stopping(room))
            log_warn("disk.remove", "error=%s", log_quote(err.message));
    }
}

/* One after the other, each removed before the next is chosen: the free space is seen then. */
static void
make_room(struct pipeline_room *room)
{
    struct room_disk *d = &room->disk;

    room_lock(room);
    look(room);
    if (is_too_full(d) || is_over_budget(room))
        for (size_t i = 0; i < room->store.count; i++)
            pipeline_prune(&room->store, room->store.pipelines[i]);
    do {
        room_unlock(room);
        remove_gone(room);
        room_lock(room);
        look(room);
    } while (!is_stopping(room) && make_less(room));
    if (is_too_full(d) && !d->is_of_others)
        log_warn("disk.full_of_others", "free=%lld minimum=%lld workspaces=%lld hint=%s",
                 (long long)d->free_bytes, (long long)d->floor_bytes,
                 (long long)disk_book_bytes(&d->book),
                 log_quote("docker system df; docker image prune"));
    d->is_of_others = is_too_full(d);
    if (is_over_budget(room) && !d->was_over)
        log_warn("disk.over_budget", "bytes=%lld budget=%lld",
                 (long long)(disk_book_bytes(&d->book) + builds_bytes(room)),
                 (long long)d->budget_bytes);
    d->was_over = is_over_budget(room);
    pthread_cond_broadcast(&room->changed);
    room_unlock(room);
}

/* ---- the thread ---- */

struct scan {
    struct pipeline_room *room;
    const char *pipeline, *root;
};

static void
enter_folder(void *arg, const char *below, struct str place)
{
    const struct scan *s = arg;
    cleanup_free char *name = str_dup(place), *path = text_format("%s/%s", s->root, below);
    struct disk_place *p;
    struct stat st;

    room_lock(s->room);
    if (disk_book_find(&s->room->disk.book, s->pipeline, name) == NULL && lstat(path, &st) == 0 &&
        S_ISDIR(st.st_mode) &&
        (p = disk_book_enter(&s->room->disk.book, s->pipeline, name)) != NULL)
        p->used_ms = (int64_t)st.st_mtime * 1000;
    room_unlock(s->room);
}

/* Workspaces that the book does not know: of an earlier version, or of a naru that was killed. */
static void
scan(struct pipeline_room *room)
{
    cleanup_free char *root = workspaces(room);
    DIR *d = opendir(root);
    struct dirent *e;

    while (d != NULL && !is_stopping(room) && (e = readdir(d)) != NULL) {
        struct scan s = {room, e->d_name, root};
        if (build_name_is_valid(str_of(e->d_name)))
            each_folder(room, e->d_name, NULL, enter_folder, &s);
    }
    if (d != NULL)
        closedir(d);
}

static void *
disk_thread(void *arg)
{
    struct pipeline_room *room = arg;

    scan(room);
    room_lock(room);
    while (!is_stopping(room)) {
        if (!room->disk.is_due) {
            pthread_cond_wait(&room->disk.wake, &room->mutex);
            continue;
        }
        room->disk.is_due = false;
        room_unlock(room);
        measure_places(room);
        measure_builds(room);
        make_room(room);
        room_disk_keep(room);
        room_lock(room);
    }
    room_unlock(room);
    return NULL;
}

bool
room_disk_start(struct pipeline_room *room, struct err *err)
{
    cleanup_free char *root = workspaces(room), *path = text_format("%s/.disk.json", root);
    struct room_disk *d = &room->disk;
    int failure;

    if (!file_make_dirs(root, 0755, err))
        return false;
    disk_book_open(&d->book, path);
    pthread_cond_init(&d->wake, NULL);
    pthread_mutex_init(&d->keeping, NULL);
    look(room);
    d->is_due = true;
    failure = pthread_create(&d->thread, NULL, disk_thread, room);
    errno = failure;
    d->is_running = failure == 0;
    return d->is_running || err_errno(err, "cannot start the thread that looks after the disk");
}

void
room_disk_stop(struct pipeline_room *room)
{
    struct room_disk *d = &room->disk;

    if (d->is_running) {
        room_lock(room);
        pthread_cond_signal(&d->wake);
        room_unlock(room);
        pthread_join(d->thread, NULL);
        pthread_cond_destroy(&d->wake);
        pthread_mutex_destroy(&d->keeping);
    }
    d->is_running = false;
    disk_book_done(&d->book);
}
