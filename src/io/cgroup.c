/* SPDX-License-Identifier: MIT */
#include "io/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "io/file.h"

#define TREES_MAX 8u
#define MOUNTS_SIZE_MAX ((size_t)4 << 20)
#define VALUE_SIZE_MAX ((size_t)64 << 10)
#define PROCS_SIZE_MAX ((size_t)1 << 20)
#define PERIOD_US 100000
/* Half of what others get when all want the processors: what serves comes before what is built. */
#define SHARES_V1 "512"
#define WEIGHT_V2 "50"
#define OURS "naru"
#define MAKE_TRIES 20
#define OWNER "trusted.naru.owner"
#define KEPT "naru/kept" /* those that may outlive their group */

enum controller { MEMORY = 1, CPU = 2, CPUACCT = 4, PIDS = 8 };

static const struct {
    const char *name;
    unsigned bit;
} controllers[] = {{"memory", MEMORY}, {"cpu", CPU}, {"cpuacct", CPUACCT}, {"pids", PIDS}};

/* One hierarchy. */
struct tree {
    char *mount, *path; /* where it is mounted, and the group's folder */
    bool is_v2;
    unsigned has; /* controllers */
};

struct cgroup {
    struct tree trees[TREES_MAX];
    size_t count;
    char *joins[TREES_MAX + 1];
};

static bool
read_value(const char *folder, const char *file, struct strbuf *out)
{
    cleanup_free char *path = text_format("%s/%s", folder, file);

    strbuf_clear(out);
    return file_read(path, VALUE_SIZE_MAX, out, NULL);
}

/* In one write(): that is how the kernel takes it. */
static bool
write_value(const char *folder, const char *file, const char *value)
{
    cleanup_free char *path = text_format("%s/%s", folder, file);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    const size_t len = strlen(value);

    return fd >= 0 && write(fd, value, len) == (ssize_t)len;
}

static bool
write_number(const char *folder, const char *file, int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    return write_value(folder, file, text);
}

/* A file of one number, or that of the line "key number". */
static int64_t
read_number(const char *folder, const char *file, const char *key)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str rest, line, word;
    int64_t value = -1;

    if (!read_value(folder, file, &text))
        return -1;
    rest = strbuf_str(&text);
    while (str_split(&rest, '\n', &line)) {
        if (key != NULL && (!str_split(&line, ' ', &word) || !str_is(word, key)))
            continue;
        return str_to_i64(str_trim(line), &value) ? value : -1;
    }
    return -1;
}

static unsigned
controllers_in(struct str list, char separator)
{
    unsigned has = 0;
    struct str word;

    while (str_split(&list, separator, &word))
        for (size_t i = 0; i < ARRAY_COUNT(controllers); i++)
            if (str_is(str_trim(word), controllers[i].name))
                has |= controllers[i].bit;
    return has;
}

/* A line of /proc/mounts.  Names that a shell script would have to quote are passed over. */
static void
add_tree(struct cgroup *g, struct str line)
{
    struct str source, mount, type, options;
    struct tree t = {0};

    if (!str_split(&line, ' ', &source) || !str_split(&line, ' ', &mount) ||
        !str_split(&line, ' ', &type) || !str_split(&line, ' ', &options) ||
        g->count == TREES_MAX || str_index(mount, '\'') >= 0 || str_index(mount, '\\') >= 0)
        return;
    t.is_v2 = str_is(type, "cgroup2");
    if (!t.is_v2 && !str_is(type, "cgroup"))
        return;
    t.has = t.is_v2 ? 0 : controllers_in(options, ',');
    if (!t.is_v2 && t.has == 0)
        return;
    for (size_t i = 0; i < g->count; i++)
        if (str_is(mount, g->trees[i].mount) ||
            (!t.is_v2 && !g->trees[i].is_v2 && g->trees[i].has == t.has))
            return; /* the same once more */
    t.mount = str_dup(mount);
    g->trees[g->count++] = t;
}

static struct cgroup *
find_trees(const char *mounts)
{
    struct cgroup *g = mem_new(sizeof(*g));
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str rest, line;

    if (!file_read(mounts != NULL ? mounts : "/proc/self/mounts", MOUNTS_SIZE_MAX, &text, NULL))
        return g;
    rest = strbuf_str(&text);
    while (str_split(&rest, '\n', &line))
        add_tree(g, line);
    return g;
}

/* Of version 2, each on its own, since one of them that cannot be had would refuse them all. */
static void
hand_down(const char *folder)
{
    static const char *const wanted[] = {"+memory", "+cpu", "+pids"};

    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++)
        (void)write_value(folder, "cgroup.subtree_control", wanted[i]);
}

static bool
make_folder(const char *path)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

/* Of version 2 a group's folder tells which it was given. */
static void
see_controllers(struct tree *t)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (t->is_v2 && read_value(t->path, "cgroup.controllers", &text))
        t->has = controllers_in(str_trim(strbuf_str(&text)), ' ');
}

/* The folder that all groups of all narus of the machine lie in. */
static bool
make_ours(const struct tree *t, const char *ours)
{
    if (mkdir(ours, 0755) == 0)
        (void)(t->is_v2 ? write_value(ours, "cpu.weight", WEIGHT_V2)
                        : write_value(ours, "cpu.shares", SHARES_V1));
    else if (errno != EEXIST)
        return false;
    if (t->is_v2)
        hand_down(ours);
    return true;
}

static bool
make_in(struct tree *t, const char *name)
{
    cleanup_free char *ours = text_format("%s/" OURS, t->mount);
    bool is_made = false;

    if (t->is_v2)
        hand_down(t->mount);
    t->path = text_format("%s/%s", ours, name);
    for (int i = 0; i < MAKE_TRIES && !is_made; i++) {
        if (!make_ours(t, ours))
            return false;
        is_made = make_folder(t->path);
        if (!is_made && errno != ENOENT)
            return false; /* else another naru has just removed ours as empty */
    }
    if (is_made)
        see_controllers(t);
    return is_made;
}

static void
tree_done(struct tree *t)
{
    free(t->mount);
    free(t->path);
}

/* Keeps those trees of which `keep` says so. */
static void
keep_trees(struct cgroup *g, bool (*keep)(struct tree *t, const char *name), const char *name)
{
    size_t count = 0;
    int why = 0;

    for (size_t i = 0; i < g->count; i++) {
        if (keep(&g->trees[i], name)) {
            g->trees[count++] = g->trees[i];
            continue;
        }
        why = errno;
        tree_done(&g->trees[i]);
    }
    g->count = count;
    errno = why;
}

static void
make_joins(struct cgroup *g)
{
    for (size_t i = 0; i < g->count; i++)
        g->joins[i] = text_format("%s/cgroup.procs", g->trees[i].path);
}

/* These take limits away, too: a group may be there from before, with others. */
static bool
limit_memory(const struct tree *t, int64_t bytes)
{
    if (bytes == 0) {
        if (t->is_v2)
            (void)write_value(t->path, "memory.swap.max", "max");
        else
            (void)write_number(t->path, "memory.memsw.limit_in_bytes", -1);
        return t->is_v2 ? write_value(t->path, "memory.max", "max")
                        : write_number(t->path, "memory.limit_in_bytes", -1);
    }
    if (t->is_v2) {
        (void)write_number(t->path, "memory.swap.max", 0); /* where there is swap */
        return write_number(t->path, "memory.max", bytes);
    }
    /* The one with swap is never below the other, whichever way they move. */
    (void)write_number(t->path, "memory.memsw.limit_in_bytes", bytes);
    if (!write_number(t->path, "memory.limit_in_bytes", bytes))
        return false;
    (void)write_number(t->path, "memory.memsw.limit_in_bytes", bytes);
    return true;
}

static bool
limit_cpu(const struct tree *t, int64_t milli)
{
    const int64_t quota_us = milli == 0 ? -1 : milli * PERIOD_US / 1000;
    char text[64];

    if (!t->is_v2)
        return write_number(t->path, "cpu.cfs_period_us", PERIOD_US) &&
               write_number(t->path, "cpu.cfs_quota_us", quota_us);
    if (milli == 0)
        (void)snprintf(text, sizeof(text), "max %d", PERIOD_US);
    else
        (void)snprintf(text, sizeof(text), "%lld %d", (long long)quota_us, PERIOD_US);
    return write_value(t->path, "cpu.max", text);
}

static bool
limit_processes(const struct tree *t, int64_t count)
{
    return count == 0 ? write_value(t->path, "pids.max", "max")
                      : write_number(t->path, "pids.max", count);
}

static const struct tree *
tree_with(const struct cgroup *g, unsigned controller)
{
    for (size_t i = 0; i < g->count; i++)
        if ((g->trees[i].has & controller) != 0)
            return &g->trees[i];
    return NULL;
}

static void
set_limits(const struct cgroup *g, const struct cgroup_limits *l, struct strbuf *lacking)
{
    const struct {
        unsigned controller;
        int64_t value;
        bool (*set)(const struct tree *t, int64_t value);
        const char *name;
    } rows[] = {{MEMORY, l->memory_bytes, limit_memory, "memory"},
                {CPU, l->cpu_milli, limit_cpu, "cpus"},
                {PIDS, l->processes, limit_processes, "processes"}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct tree *t = tree_with(g, rows[i].controller);
        const bool is_set = t != NULL && rows[i].set(t, rows[i].value);
        if (is_set || rows[i].value == 0)
            continue;
        strbuf_addf(lacking, "%s%s", lacking->len > 0 ? ", " : "", rows[i].name);
    }
}

static bool
is_there(struct tree *t, const char *name)
{
    t->path = text_format("%s/" OURS "/%s", t->mount, name);
    if (!file_exists(t->path))
        return false;
    see_controllers(t);
    return true;
}

static bool
name_is_valid(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strlen(name) <= CGROUP_NAME_MAX &&
           strpbrk(name, "/'\\\n") == NULL && strcmp(name, "kept") != 0;
}

struct cgroup *
cgroup_make(const char *mounts, const char *name, const struct cgroup_limits *limits,
            struct strbuf *lacking, struct err *err)
{
    struct cgroup *g;

    if (!name_is_valid(name)) {
        err_set(err, ERR_INTERNAL, "'%.100s' is no name of a group", name);
        return NULL;
    }
    g = find_trees(mounts);
    if (g->count == 0) {
        err_set(err, ERR_INTERNAL, "this machine has no cgroups mounted");
        cgroup_free(g);
        return NULL;
    }
    keep_trees(g, make_in, name);
    if (g->count == 0) {
        err_errno(err, "cannot make a cgroup");
        cgroup_free(g);
        return NULL;
    }
    make_joins(g);
    set_limits(g, limits, lacking);
    return g;
}

/* The group of that name in these hierarchies; NULL: it is in none. */
static struct cgroup *
group_in(const struct cgroup *all, const char *name)
{
    struct cgroup *g = mem_new(sizeof(*g));

    for (; g->count < all->count; g->count++)
        g->trees[g->count] = (struct tree){.mount = text_dup(all->trees[g->count].mount),
                                           .is_v2 = all->trees[g->count].is_v2,
                                           .has = all->trees[g->count].has};
    keep_trees(g, is_there, name);
    if (g->count == 0) {
        cgroup_free(g);
        return NULL;
    }
    make_joins(g);
    return g;
}

struct cgroup *
cgroup_find(const char *mounts, const char *name)
{
    struct cgroup *all, *g;

    if (!name_is_valid(name))
        return NULL;
    all = find_trees(mounts);
    g = group_in(all, name);
    cgroup_free(all);
    return g;
}

void
cgroup_free(struct cgroup *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->count; i++)
        tree_done(&g->trees[i]);
    for (size_t i = 0; g->joins[i] != NULL; i++)
        free(g->joins[i]);
    free(g);
}

void
cgroup_mark(const struct cgroup *g, const char *owner)
{
    for (size_t i = 0; i < g->count; i++)
        (void)setxattr(g->trees[i].path, OWNER, owner, strlen(owner), 0);
}

void
cgroup_owner(const struct cgroup *g, struct strbuf *out)
{
    char owner[PATH_MAX];
    ssize_t size = 0;

    strbuf_clear(out);
    for (size_t i = 0; i < g->count && size <= 0; i++)
        size = getxattr(g->trees[i].path, OWNER, owner, sizeof(owner));
    if (size > 0)
        strbuf_add(out, (struct str){owner, (size_t)size});
}

const char *const *
cgroup_joins(const struct cgroup *g)
{
    return (const char *const *)g->joins;
}

static size_t
add_process(pid_t *out, size_t count, size_t max, int64_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (out[i] == (pid_t)pid)
            return count;
    if (pid > 1 && count < max) /* 0: of another name space */
        out[count++] = (pid_t)pid;
    return count;
}

size_t
cgroup_processes(const struct cgroup *g, pid_t *out, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < g->count; i++) {
        cleanup_free char *path = text_format("%s/cgroup.procs", g->trees[i].path);
        cleanup(strbuf_done) struct strbuf text = {0};
        struct str rest, line;
        int64_t pid;

        if (!file_read(path, PROCS_SIZE_MAX, &text, NULL))
            continue;
        rest = strbuf_str(&text);
        while (str_split(&rest, '\n', &line))
            if (str_to_i64(line, &pid))
                count = add_process(out, count, max, pid);
    }
    return count;
}

/* Has the file a line of that text, or of that end? */
static bool
has_line(const char *path, const char *text, bool is_end)
{
    cleanup(strbuf_done) struct strbuf content = {0};
    struct str rest, line;

    if (!file_read(path, PROCS_SIZE_MAX, &content, NULL))
        return false;
    rest = strbuf_str(&content);
    while (str_split(&rest, '\n', &line))
        if (is_end ? str_ends(line, str_of(text)) : str_is(line, text))
            return true;
    return false;
}

bool
cgroup_has(const struct cgroup *g, pid_t pid)
{
    cleanup_free char *path = text_format("/proc/%d/cgroup", (int)pid);
    cleanup_free char *number = text_format("%d", (int)pid);

    for (size_t i = 0; i < g->count; i++)
        if (has_line(path, g->trees[i].path + strlen(g->trees[i].mount), true))
            return true;
    /* One whose first thread has ended shows none, but is listed. */
    for (size_t i = 0; i < g->count; i++) {
        cleanup_free char *procs = text_format("%s/cgroup.procs", g->trees[i].path);
        if (has_line(procs, number, false))
            return true;
    }
    return false;
}

void
cgroup_let_go(const struct cgroup *g, pid_t pid)
{
    for (size_t i = 0; i < g->count; i++) {
        cleanup_free char *kept = text_format("%s/" KEPT, g->trees[i].mount);

        if (make_folder(kept))
            (void)write_number(kept, "cgroup.procs", pid);
    }
}

void
cgroup_kill(const struct cgroup *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->trees[i].is_v2)
            (void)write_value(g->trees[i].path, "cgroup.kill", "1");
}

void
cgroup_used(const struct cgroup *g, struct cgroup_use *out)
{
    const struct tree *memory = tree_with(g, MEMORY), *pids = tree_with(g, PIDS),
                      *account = tree_with(g, CPUACCT);
    int64_t cpu = -1;

    *out = (struct cgroup_use){-1, -1, -1, -1};
    if (account != NULL && (cpu = read_number(account->path, "cpuacct.usage", NULL)) >= 0)
        out->cpu_ms = cpu / 1000000;
    for (size_t i = 0; i < g->count && out->cpu_ms < 0; i++)
        if (g->trees[i].is_v2 &&
            (cpu = read_number(g->trees[i].path, "cpu.stat", "usage_usec")) >= 0)
            out->cpu_ms = cpu / 1000;
    if (memory != NULL) {
        out->memory_peak_bytes =
            read_number(memory->path, memory->is_v2 ? "memory.peak" : "memory.max_usage_in_bytes",
                        NULL);
        out->killed = read_number(memory->path,
                                  memory->is_v2 ? "memory.events" : "memory.oom_control",
                                  "oom_kill");
    }
    if (pids != NULL)
        out->refused = read_number(pids->path, "pids.events", "max");
}

bool
cgroup_remove(const struct cgroup *g)
{
    bool ok = true;

    for (size_t i = 0; i < g->count; i++)
        ok = (rmdir(g->trees[i].path) == 0 || errno == ENOENT) && ok;
    return ok;
}

void
cgroup_forget_all(const char *mounts)
{
    struct cgroup *g = find_trees(mounts);

    for (size_t i = 0; i < g->count; i++) {
        cleanup_free char *kept = text_format("%s/" KEPT, g->trees[i].mount);
        cleanup_free char *ours = text_format("%s/" OURS, g->trees[i].mount);

        (void)rmdir(kept);
        (void)rmdir(ours);
    }
    cgroup_free(g);
}

static bool
is_in_any(const struct tree *trees, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *path = text_format("%s/" OURS "/%s", trees[i].mount, name);
        if (file_exists(path))
            return true;
    }
    return false;
}

void
cgroup_each(const char *mounts, void (*each)(void *arg, const char *name, const struct cgroup *g), void *arg)
{
    struct cgroup *all = find_trees(mounts);

    /* One may be left in some hierarchies only. */
    for (size_t i = 0; i < all->count; i++) {
        cleanup_free char *ours = text_format("%s/" OURS, all->trees[i].mount);
        DIR *d = opendir(ours);
        struct dirent *e;

        while (d != NULL && (e = readdir(d)) != NULL) {
            struct cgroup *g = e->d_type != DT_DIR || !name_is_valid(e->d_name) ||
                                       is_in_any(all->trees, i, e->d_name)
                                   ? NULL
                                   : group_in(all, e->d_name);
            if (g != NULL)
                each(arg, e->d_name, g);
            cgroup_free(g);
        }
        if (d != NULL)
            closedir(d);
    }
    cgroup_free(all);
}
