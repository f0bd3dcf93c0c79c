/* SPDX-License-Identifier: MIT */
#include "pipeline/run/build_user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "io/file.h"
#include "pipeline/run/run.h"

#define DEPTH_MAX 100 /* of one walk: two descriptors a level */
#define PATH_LONGEST ((size_t)64 << 10) /* of a folder at which another walk begins: the way there is walked anew */
#define DEEP_BYTES_MAX ((size_t)64 << 20) /* of those that are still to be walked from, together */
#define PASSWD_MAX ((size_t)1 << 20)
#define DOCKER_SOCKET "/var/run/docker.sock"

/* One build at a time looks for an id. */
static pthread_mutex_t choosing = PTHREAD_MUTEX_INITIALIZER;

void
build_rights_default(struct build_rights *r, bool is_untrusted)
{
    *r = (struct build_rights){.first = BUILD_USERS_FIRST,
                               .last = BUILD_USERS_LAST,
                               .docker = !is_untrusted,
                               .network = true};
}

static void
warn_once(const char *what)
{
    static atomic_bool was_said;

    if (!atomic_exchange(&was_said, true))
        log_warn("build.no_user", "error=%s", log_quote(what));
}

/* ---- who acts ---- */

static void
act(struct run *run, bool as_user)
{
    if (run->user == NULL || run->acts_as_user == as_user)
        return;
    if (as_user)
        identity_enter(&run->user->id);
    else
        identity_leave();
    run->acts_as_user = as_user;
}

struct acting
user_acts(struct run *run)
{
    const struct acting a = {run, run->acts_as_user};

    act(run, true);
    return a;
}

struct acting
server_acts(struct run *run)
{
    const struct acting a = {run, run->acts_as_user};

    act(run, false);
    return a;
}

void
acting_end(struct acting *a)
{
    act(a->run, a->was);
}

uid_t
build_user_uid(const struct run *run)
{
    return run->user != NULL ? run->user->id.uid : getuid();
}

gid_t
build_user_gid(const struct run *run)
{
    return run->user != NULL ? run->user->id.gid : getgid();
}

/* ---- whose the files are ---- */

struct owning {
    const struct identity *id;
    dev_t device;
    size_t count;
    struct strbuf path; /* below the topmost folder, "a/b": where the walk is */
    char **deep;        /* folders that lie deeper than a walk goes: each is the start of one of its own */
    size_t deep_count, deep_bytes;
};

static void
owning_done(struct owning *o)
{
    strbuf_done(&o->path);
    for (size_t i = 0; i < o->deep_count; i++)
        free(o->deep[i]);
    free(o->deep);
}

static bool own_at(struct owning *o, int dir_fd, const char *name, int depth, struct err *err);

static bool
own_children(struct owning *o, int fd, int depth, struct err *err)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *e;
    bool ok = true;

    if (dir == NULL) {
        close(fd);
        return err_errno(err, "cannot list a folder");
    }
    while (ok && (e = readdir(dir)) != NULL) {
        const size_t len = o->path.len;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        strbuf_addf(&o->path, "%s%s", len > 0 ? "/" : "", e->d_name);
        ok = own_at(o, dirfd(dir), e->d_name, depth + 1, err);
        if (ok) /* else it says where that was */
            strbuf_cut(&o->path, len);
    }
    closedir(dir);
    return ok;
}

static bool
own_later(struct owning *o, struct err *err)
{
    o->deep_bytes += o->path.len;
    if (o->path.len > PATH_LONGEST || o->deep_bytes > DEEP_BYTES_MAX)
        return err_set(err, ERR_INTERNAL, "its folders lie too deep in one another");
    o->deep = mem_grow(o->deep, o->deep_count + 1, sizeof(*o->deep));
    o->deep[o->deep_count++] = text_dup(strbuf_cstr(&o->path));
    return true;
}

/* By a descriptor, so that what was looked at is what is given away, whatever its name means by then.  A
 * file with a further name may be somebody's elsewhere; it stays his. */
static bool
own_at(struct owning *o, int dir_fd, const char *name, int depth, struct err *err)
{
    cleanup_close int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int folder;

    if (fd < 0 || fstat(fd, &st) != 0)
        return errno == ENOENT || err_errno(err, "cannot look at '%s'", name);
    if (st.st_dev != o->device || (S_ISREG(st.st_mode) && st.st_nlink > 1))
        return true;
    if (S_ISDIR(st.st_mode)) {
        if (depth == DEPTH_MAX)
            return own_later(o, err);
        folder = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
            return err_errno(err, "cannot open '%s'", name);
        if (!own_children(o, folder, depth, err))
            return false;
    }
    if (st.st_uid == o->id->uid && st.st_gid == o->id->gid)
        return true;
    if (fchownat(fd, "", o->id->uid, o->id->gid, AT_EMPTY_PATH) != 0)
        return err_errno(err, "cannot give '%s' to the user %u", name, (unsigned)o->id->uid);
    o->count++;
    return true;
}

/* The folder in which "a/b/c" lies below `top`, by no link, and "c"; -1: it is no more. */
static int
open_above(int top, const char *path, char last[NAME_MAX + 1])
{
    struct str rest = str_of(path), part;
    int at = fcntl(top, F_DUPFD_CLOEXEC, 0);

    while (at >= 0 && str_split(&rest, '/', &part) && text_copy(last, NAME_MAX + 1, part) &&
           rest.at != NULL) {
        const int above = at;
        at = openat(above, last, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(above);
    }
    return at;
}

/* One after the other, each of which may find more of them: the last one first, so that few are kept. */
static bool
own_deep(struct owning *o, int top, struct err *err)
{
    while (o->deep_count > 0) {
        cleanup_free char *path = o->deep[--o->deep_count];
        char last[NAME_MAX + 1];
        cleanup_close int at = open_above(top, path, last);
        strbuf_clear(&o->path);
        strbuf_add_cstr(&o->path, path);
        o->deep_bytes -= o->path.len;
        if (at >= 0 && !own_at(o, at, last, 0, err))
            return false;
    }
    strbuf_clear(&o->path);
    return true;
}

/* `path` itself is the last. */
static bool
own_tree(const struct identity *id, const char *path, size_t *count_out, struct err *err)
{
    cleanup(owning_done) struct owning o = {.id = id};
    cleanup_close int top = open(path, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    int list;

    if (top < 0 || fstat(top, &st) != 0)
        return err_errno(err, "cannot look at '%s'", path);
    o.device = st.st_dev;
    list = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list < 0)
        return err_errno(err, "cannot open '%s'", path);
    if (!own_children(&o, list, 0, err) || !own_deep(&o, top, err))
        return err_context(err, "'%s', at '%.200s'", path, strbuf_cstr(&o.path));
    if (st.st_uid != id->uid || st.st_gid != id->gid) {
        if (fchown(top, id->uid, id->gid) != 0)
            return err_errno(err, "cannot give '%s' to the user %u", path, (unsigned)id->uid);
        o.count++;
    }
    *count_out = o.count;
    return true;
}

/* The topmost folder is his last: who finds it his finds all below it his, too. */
bool
build_user_folder(struct run *run, const char *path, unsigned mode, struct err *err)
{
    SERVER_ACTS(run);
    struct stat st;
    size_t count;

    const char *above = arena_cstr(&run->arena, str_range(path, strrchr(path, '/')));

    if (run->user == NULL)
        return file_make_dirs(path, mode, err);
    if (!file_make_dirs(above, 0711, err) || !file_make_dirs(path, mode, err))
        return false;
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(err, ERR_INTERNAL, "'%s' is no folder", path);
    if (st.st_uid == run->user->id.uid)
        return true;
    if (!own_tree(&run->user->id, path, &count, err))
        return false;
    return chmod(path, (mode_t)mode) == 0 || err_errno(err, "cannot set the mode of '%s'", path);
}

size_t
build_user_take_back(struct run *run)
{
    SERVER_ACTS(run);
    size_t count = 0;
    struct err err;

    /* Not run->workspace: the Jenkinsfile may have named any folder. */
    const char *base = run->config->workspace;
    const char *path = run->node <= 1 ? base : arena_format(&run->arena, "%s@%u", base, run->node);

    if (run->user != NULL && !own_tree(&run->user->id, path, &count, &err))
        run_logf(run, "WARNING: %s", err.message);
    return count;
}

/* ---- which user ---- */

/* Those of the range that belong to somebody. */
struct taken {
    uint32_t first, last;
    unsigned char *is_taken;
};

static void
take(struct taken *t, uint32_t id)
{
    if (id >= t->first && id <= t->last)
        t->is_taken[id - t->first] = 1;
}

/* False: what is there cannot be told. */
static bool
take_in(struct taken *t, const char *folder, unsigned depth)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    struct stat st;
    bool ok = d != NULL || errno == ENOENT;

    while (ok && d != NULL && (errno = 0, e = readdir(d)) != NULL) {
        cleanup_free char *path = text_format("%s/%s", folder, e->d_name);
        if (e->d_name[0] == '.' || lstat(path, &st) != 0)
            continue;
        take(t, st.st_uid);
        take(t, st.st_gid);
        if (depth > 0 && S_ISDIR(st.st_mode))
            ok = take_in(t, path, depth - 1);
    }
    ok = ok && (d == NULL || errno == 0);
    if (d != NULL)
        closedir(d);
    return ok;
}

/* Whose workspace is gone may have left something all the same: a process that was meant to stay, or
 * files where all may write.  The next one of his number would find them his. */
static bool
take_all(struct taken *t, const char *home)
{
    static const char *const of_all[] = {"/proc", "/tmp", "/var/tmp", "/dev/shm"};
    cleanup_free char *workspaces = text_format("%s/workspaces", home);
    cleanup_free char *git = text_format("%s/git", home);

    for (size_t i = 0; i < ARRAY_COUNT(of_all); i++)
        if (!take_in(t, of_all[i], 0))
            return false;
    return take_in(t, workspaces, 1) && take_in(t, git, 0);
}

static bool
free_id(const struct run *run, uint32_t *out, struct err *err)
{
    const struct build_rights *r = run->config->rights;
    cleanup_free unsigned char *is_taken = mem_new(r->last - r->first + 1);
    struct taken t = {r->first, r->last, is_taken};

    if (!take_all(&t, run->config->home))
        return err_errno(err, "cannot see which users of builds are free");
    for (uint32_t id = t.first; id <= t.last; id++)
        if (!is_taken[id - t.first]) {
            *out = id;
            return true;
        }
    return err_set(err, ERR_LIMIT_EXCEEDED,
                   "all users of builds (%u-%u) have a workspace: remove old ones from %s/workspaces, "
                   "or give more by \"users\" in builds.json",
                   (unsigned)r->first, (unsigned)r->last, run->config->home);
}

/* The id that the workspace has, or a new one, which it has from then on. */
static bool
choose_id(const struct run *run, const char *home, uint32_t *out, struct err *err)
{
    const struct build_rights *r = run->config->rights;
    cleanup_free char *above = str_dup(str_range(home, strrchr(home, '/')));
    struct stat st;
    bool ok = true;

    pthread_mutex_lock(&choosing);
    if (lstat(home, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid >= r->first && st.st_uid <= r->last)
        *out = st.st_uid;
    else
        ok = free_id(run, out, err) && file_make_dirs(above, 0711, err) &&
             file_make_dirs(home, 0700, err) &&
             (lchown(home, *out, *out) == 0 ||
              err_errno(err, "cannot give '%s' to the user %u", home, (unsigned)*out));
    pthread_mutex_unlock(&choosing);
    return ok;
}

/* ---- docker ---- */

/* The group that may write to the socket; false: none of ours to give. */
static bool
docker_group(struct run *run, gid_t *out)
{
    struct value host;
    struct stat st;
    const char *path = DOCKER_SOCKET;
    bool found;

    if (run_env_get(run, STR("DOCKER_HOST"), &host, &found) && found) {
        struct str text = value_to_text(&run->arena, host);
        if (!str_starts(text, STR("unix://")))
            return false;
        path = arena_cstr(&run->arena, str_slice(text, 7, text.len));
    }
    *out = 0;
    return stat(path, &st) == 0 && (st.st_mode & S_IWGRP) != 0 && (*out = st.st_gid, true);
}

static void
drop_group(struct identity *id, gid_t gid)
{
    size_t count = 0;

    for (size_t i = 0; i < id->group_count; i++)
        if (id->groups[i] != gid)
            id->groups[count++] = id->groups[i];
    id->group_count = count;
}

static void
set_docker(struct run *run, struct identity *id)
{
    gid_t gid;

    if (!docker_group(run, &gid))
        return;
    drop_group(id, gid);
    if (run->config->rights->docker && id->group_count < IDENTITY_GROUPS_MAX)
        id->groups[id->group_count++] = gid;
}

const char *
build_user_docker_refusal(const struct run *run)
{
    if (run->config->rights == NULL || run->config->rights->docker)
        return NULL;
    return run->config->trusted_ref != NULL
               ? "this build may not use Docker: it is of a change that is not trusted; \"docker\": "
                 "true within \"untrusted\" of builds.json grants it, and with it this machine"
               : "this build may not use Docker: builds.json has \"docker\": false for it";
}

/* ---- a build's ---- */

static void
set(struct run *run, const char *name, const char *value)
{
    run_env_set(run, &run->base, str_of(name), str_of(value));
}

static bool
named_user(struct run *run, struct build_user *u, struct err *err)
{
    const char *name = run->config->rights->user;
    int count = (int)IDENTITY_GROUPS_MAX - 1;
    struct passwd pw, *found = NULL;
    char text[16384];

    if (getpwnam_r(name, &pw, text, sizeof(text), &found) != 0 || found == NULL)
        return err_set(err, ERR_VALIDATION, "builds.json: there is no user '%s'", name);
    if (!identity_exists(pw.pw_uid, pw.pw_uid) || !identity_exists(pw.pw_gid, pw.pw_gid))
        return err_set(err, ERR_VALIDATION, "builds.json: nobody can be the user '%s' here", name);
    u->id.uid = pw.pw_uid;
    u->id.gid = pw.pw_gid;
    u->name = arena_format(&run->arena, "%s", name);
    u->home = arena_format(&run->arena, "%s", pw.pw_dir);
    if (getgrouplist(name, pw.pw_gid, u->id.groups, &count) < 0)
        count = (int)IDENTITY_GROUPS_MAX - 1;
    u->id.group_count = (size_t)count;
    return true;
}

/* A file of naru's that every user may read; nothing is written that is there already. */
static bool
publish(struct run *run, const char *name, struct str text, const char **path_out, struct err *err)
{
    const char *folder = arena_format(&run->arena, "%s/users", run->config->home);
    cleanup(strbuf_done) struct strbuf there = {0};

    *path_out = arena_format(&run->arena, "%s/%s", folder, name);
    if (file_exists(*path_out) && file_read(*path_out, PASSWD_MAX * 2, &there, NULL) &&
        str_equal(strbuf_str(&there), text))
        return true;
    return file_make_dirs(folder, 0755, err) && file_write_atomic(*path_out, text, 0644, err);
}

/* git refuses the repositories of others, which naru's own are, and asks only its global file about it. */
static bool
publish_git_config(struct run *run, struct build_user *u, struct err *err)
{
    return publish(run, "gitconfig", STR("[safe]\n\tdirectory = *\n[include]\n\tpath = ~/.gitconfig\n"),
                   &u->git_config, err);
}

/* The machine's users, and him. */
static bool
publish_passwd(struct run *run, struct build_user *u, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!file_read("/etc/passwd", PASSWD_MAX, &text, NULL))
        return true; /* then there are no names at all */
    if (text.len > 0 && text.at[text.len - 1] != '\n')
        strbuf_add_char(&text, '\n');
    strbuf_addf(&text, "%s:x:%u:%u:a build of naru:%s:/bin/sh\n", u->name, (unsigned)u->id.uid,
                (unsigned)u->id.gid, u->home);
    return publish(run, arena_format(&run->arena, "passwd-%u", (unsigned)u->id.uid),
                   strbuf_str(&text), &u->passwd, err);
}

static bool
own_user(struct run *run, struct build_user *u, struct err *err)
{
    uint32_t id;

    u->home = arena_format(&run->arena, "%s@home", run->config->workspace);
    if (strpbrk(u->home, ":\n") != NULL)
        return err_set(err, ERR_VALIDATION, "'%s' cannot be a home", u->home);
    if (!choose_id(run, u->home, &id, err))
        return false;
    u->id.uid = u->id.gid = id;
    u->name = arena_format(&run->arena, "naru-%u", (unsigned)id);
    return publish_passwd(run, u, err);
}

/* For the scripts' own git. */
static bool
write_git_config(struct run *run, struct err *err)
{
    USER_ACTS(run);
    const char *path = arena_format(&run->arena, "%s/.gitconfig", run->user->home);

    return file_exists(path) ||
           file_write_atomic(path, STR("[safe]\n\tdirectory = *\n"), 0644, err);
}

/* Does every folder above the workspace let such a user pass? */
static bool
can_reach(struct run *run, const struct identity *id, struct err *err)
{
    const char *workspace = run->config->workspace;
    const char *above = arena_cstr(&run->arena, str_range(workspace, strrchr(workspace, '/')));
    bool ok;

    if (!file_make_dirs(above, 0711, err))
        return false;
    identity_enter(id);
    ok = faccessat(AT_FDCWD, above, X_OK, AT_EACCESS) == 0;
    identity_leave();
    return ok || err_set(err, ERR_ACCESS_DENIED,
                         "builds' users cannot get to %s, as a folder above it is closed to others",
                         above);
}

static bool
make_folders(struct run *run, struct err *err)
{
    const char *workspace = run->config->workspace;

    return build_user_folder(run, workspace, 0750, err) &&
           build_user_folder(run, arena_format(&run->arena, "%s@tmp", workspace), 0711, err);
}

static void
set_place(struct run *run)
{
    const struct build_rights *r = run->config->rights;

    run->own_place.joins = run->group == NULL ? NULL : cgroup_joins(run->group);
    run->place = run->own_place;
    run->place.as = run->user == NULL ? NULL : &run->user->id;
    run->place.passwd = run->user == NULL ? NULL : run->user->passwd;
    run->place.no_network = r != NULL && !r->network;
    if (build_user_docker_refusal(run) != NULL)
        set(run, "NARU_NO_DOCKER", build_user_docker_refusal(run));
}

bool
build_user_is_wanted(const struct run *run)
{
    const struct build_rights *r = run->config->rights;

    if (r == NULL || run->config->in_place || strcmp(r->user, "root") == 0)
        return false;
    if (!identity_is_possible()) {
        warn_once("naru is not root, or not with all rights, so builds have its own user");
        return false;
    }
    if (r->user[0] == '\0' && (run->config->home == NULL || !identity_exists(r->first, r->last))) {
        warn_once("the users of builds do not exist here (\"users\" in builds.json), so builds have "
                  "naru's own");
        return false;
    }
    return true;
}

static bool
enter(struct run *run, struct err *err)
{
    struct build_user *u = arena_alloc(&run->arena, sizeof(*u));
    struct value home;
    bool found;

    if (run->config->rights->user[0] != '\0' ? !named_user(run, u, err) : !own_user(run, u, err))
        return false;
    set_docker(run, &u->id);
    run->user = u;
    if (!publish_git_config(run, u, err) || !make_folders(run, err))
        return false;
    if (run_env_get(run, STR("HOME"), &home, &found) && found)
        u->server_home = arena_cstr(&run->arena, value_to_text(&run->arena, home));
    set(run, "HOME", u->home);
    set(run, "USER", u->name);
    set(run, "LOGNAME", u->name);
    if (run_env_get(run, STR("GIT_CONFIG_GLOBAL"), &home, &found) && found) /* the server's */
        set(run, "GIT_CONFIG_GLOBAL", arena_format(&run->arena, "%s/.gitconfig", u->home));
    return run->config->rights->user[0] != '\0' || write_git_config(run, err);
}

/* Of a workspace that had a user before the operator said otherwise: git, as root, would not trust it. */
static bool
make_ours(const struct run *run, struct err *err)
{
    const struct build_rights *r = run->config->rights;
    const struct identity us = {.uid = geteuid(), .gid = getegid()};
    struct stat st;
    size_t count;

    if (r == NULL || run->config->in_place || us.uid != 0 || lstat(run->config->workspace, &st) != 0 ||
        st.st_uid < r->first || st.st_uid > r->last)
        return true;
    return own_tree(&us, run->config->workspace, &count, err);
}

/* As without root's rights, then; but what strangers wrote does not run like that for want of a mode. */
static bool
find_user(struct run *run, struct err *err)
{
    const struct build_rights *r = run->config->rights;
    const struct identity any = {.uid = r->first, .gid = r->first};

    if (r->user[0] != '\0' || can_reach(run, &any, err))
        return enter(run, err);
    if (run->config->trusted_ref != NULL)
        return err_context(err, "what is not trusted is not built");
    warn_once(err->message);
    return make_ours(run, err);
}

/* Strangers are root only where the operator says so of them. */
static bool
would_be_root(const struct run *run)
{
    const struct build_rights *r = run->config->rights;

    return run->config->trusted_ref != NULL && r != NULL && !run->config->in_place && geteuid() == 0 &&
           strcmp(r->user, "root") != 0;
}

static bool
do_without(struct run *run, struct err *err)
{
    if (would_be_root(run))
        return err_set(err, ERR_ACCESS_DENIED,
                       "what is not trusted is not built: naru is root, but cannot give builds users of "
                       "their own here (at=build.no_user in its log)");
    return make_ours(run, err);
}

bool
build_user_enter(struct run *run, struct err *err)
{
    const bool ok = build_user_is_wanted(run) ? find_user(run, err) : do_without(run, err);

    set_place(run);
    return ok;
}

bool
build_user_is_own(const struct run *run, struct str entry)
{
    return run->user != NULL &&
           (str_starts(entry, STR("HOME=")) || str_starts(entry, STR("USER=")) ||
            str_starts(entry, STR("LOGNAME=")) || str_starts(entry, STR("GIT_CONFIG_GLOBAL=")));
}

/* One of another range, or none, is replaced; looked at and given as one, since each build that is let in
 * by it is to be let in by what the repository has afterwards. */
static bool
repository_group(const struct run *run, const char *repository, struct stat *st, struct err *err)
{
    const struct build_rights *r = run->config->rights;
    uint32_t id;
    bool ok;

    pthread_mutex_lock(&choosing);
    ok = stat(repository, st) == 0 || err_errno(err, "cannot look at '%s'", repository);
    if (ok && (st->st_gid < r->first || st->st_gid > r->last)) {
        ok = free_id(run, &id, err) &&
             (chown(repository, (uid_t)-1, id) == 0 ||
              err_errno(err, "cannot give '%s' to the group %u", repository, (unsigned)id));
        st->st_gid = ok ? id : st->st_gid;
    }
    pthread_mutex_unlock(&choosing);
    return ok;
}

/* By a group of the repository's own, which its topmost folder lets in. */
bool
build_user_may_read(struct run *run, const char *repository, struct err *err)
{
    struct identity *id = run->user == NULL ? NULL : &run->user->id;
    struct stat st;

    if (id == NULL)
        return true;
    if (!repository_group(run, repository, &st, err))
        return false;
    if ((st.st_mode & 07777) != 0750 && chmod(repository, 0750) != 0)
        return err_errno(err, "cannot set the mode of '%s'", repository);
    drop_group(id, st.st_gid);
    if (id->group_count < IDENTITY_GROUPS_MAX)
        id->groups[id->group_count++] = st.st_gid;
    return true;
}

/* Its names are naru's alone to make, so what they mean does not change under us. */
static void
close_folders(int dir_fd)
{
    DIR *d = fdopendir(dir_fd);
    const struct dirent *e;
    struct stat st;

    while (d != NULL && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 05) == 05)
            (void)fchmodat(dirfd(d), e->d_name, 0750, 0);
    if (d != NULL)
        closedir(d);
}

void
build_users_begin(const char *data_dir)
{
    cleanup_free char *workspaces = text_format("%s/workspaces", data_dir);
    const struct dirent *e;
    DIR *d;

    if (geteuid() != 0)
        return;
    if (!file_make_dirs(workspaces, 0711, NULL) || chmod(workspaces, 0711) != 0)
        log_warn("build.no_user", "error=%s", log_quote("the folder workspaces cannot be opened"));
    d = opendir(workspaces);
    while (d != NULL && (e = readdir(d)) != NULL) {
        const int fd = e->d_name[0] == '.'
                           ? -1
                           : openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            close_folders(fd);
    }
    if (d != NULL)
        closedir(d);
}
