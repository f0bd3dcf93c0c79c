/* SPDX-License-Identifier: MIT */
/* steps_file.c - files of the workspace. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/crypto.h"
#include "io/file.h"
#include "pipeline/steps/selection.h"

#define FILE_MAX ((size_t)16 << 20)

static bool
step_read_file(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err;

    if (!step_needs_workspace(s))
        return false;
    if (!file_read_plain(step_path(s, step_text(s, "file", "")), FILE_MAX, &text, &err))
        return interp_throw(s->in, s->at, "NoSuchFileException", "%s", err.message);
    *s->out = value_text(arena_dup(&s->run->arena, strbuf_str(&text)));
    return true;
}

/* Not file_write_atomic(): a build may be reading through a link or keep the file's mode. */
bool
step_write_text(struct step_call *s, const char *path, struct str text, bool appends)
{
    const char *slash = strrchr(path, '/');
    const int flags = O_WRONLY | O_CREAT | (appends ? O_APPEND : O_TRUNC);
    cleanup_close int fd = -1;
    struct err err;
    USER_ACTS(s->run);

    return (file_make_dirs(arena_cstr(&s->run->arena, str_range(path, slash)), 0755, &err) &&
            file_open_plain(path, flags, 0666, &fd, &err) &&
            (file_write_all(fd, text, &err) || err_context(&err, "'%s'", path))) ||
           step_fail(s, "%s", err.message);
}

static bool
step_write_file(struct step_call *s)
{
    return step_needs_workspace(s) && step_write_text(s, step_path(s, step_text(s, "file", "")),
                                                      step_text(s, "text", ""), false);
}

/* `timestamp`: milliseconds since the epoch. */
static bool
step_touch(struct step_call *s)
{
    int64_t ms = step_int(s, "timestamp", 0);
    struct timespec times[2];
    const char *path;

    if (!step_needs_workspace(s))
        return false;
    path = step_path(s, step_text(s, "file", ""));
    if (!step_write_text(s, path, STR(""), true))
        return false;
    times[0] = times[1] = ms == 0 ? (struct timespec){.tv_nsec = UTIME_NOW}
                                  : (struct timespec){ms / 1000, ms % 1000 * 1000000};
    return utimensat(AT_FDCWD, path, times, 0) == 0 ||
           step_fail(s, "cannot touch '%s': %s", path, strerror(errno));
}

static bool
step_file_exists(struct step_call *s)
{
    if (!step_needs_workspace(s))
        return false;
    *s->out = value_bool(file_exists(step_path(s, step_text(s, "file", ""))));
    return true;
}

static bool
step_sha(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    char hex[SHA256_HEX + 1];
    struct err err;

    if (!step_needs_workspace(s))
        return false;
    if (!file_read_plain(step_path(s, step_text(s, "file", "")), FILE_MAX, &text, &err))
        return interp_throw(s->in, s->at, "NoSuchFileException", "%s", err.message);
    if (str_is(s->name, "sha1"))
        sha1_hex(strbuf_str(&text), hex);
    else
        sha256_hex(strbuf_str(&text), hex);
    *s->out = value_cstr(&s->run->arena, hex);
    return true;
}

static struct value
describe_file(struct arena *a, const char *root, struct str path)
{
    const char *full = arena_format(a, "%s/" STR_FMT, root, STR_ARG(path));
    ptrdiff_t slash = str_rindex(path, '/');
    struct value v = value_map(a);
    struct stat st = {0};

    (void)stat(full, &st);
    map_put_text(a, v.map, "name",
                 value_text(str_slice(path, slash < 0 ? 0 : (size_t)slash + 1, path.len)));
    map_put_text(a, v.map, "path", value_text(path));
    map_put_text(a, v.map, "directory", value_bool(S_ISDIR(st.st_mode)));
    map_put_text(a, v.map, "length", value_long(st.st_size));
    map_put_text(a, v.map, "lastModified",
                 value_long(st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000));
    return v;
}

static int
by_path(const void *a, const void *b)
{
    const struct value *x = a, *y = b;

    return strcmp(x->text.at, y->text.at);
}

/* Without a pattern: what lies in the current directory, folders as well. */
static bool
find_here(struct step_call *s, struct list *found)
{
    DIR *d = opendir(s->run->directory);
    struct dirent *e;

    if (d == NULL)
        return step_fail(s, "cannot open '%s': %s", s->run->directory, strerror(errno));
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            list_add(&s->run->arena, found, value_cstr(&s->run->arena, e->d_name));
    closedir(d);
    return true;
}

static bool
step_find_files(struct step_call *s)
{
    struct arena *a = &s->run->arena;
    struct selection sel = {.s = s,
                            .root = s->run->directory,
                            .includes = step_text(s, "glob", ""),
                            .excludes = step_text(s, "excludes", ""),
                            .links = LINKS_FOLLOW};

    if (!step_needs_workspace(s))
        return false;
    if (sel.includes.len == 0 ? !find_here(s, &sel.found) : !selection_find(&sel))
        return false;
    if (sel.found.count > 0)
        qsort(sel.found.at, sel.found.count, sizeof(*sel.found.at), by_path);
    *s->out = value_list(a);
    for (size_t i = 0; i < sel.found.count; i++)
        list_add(a, s->out->list, describe_file(a, sel.root, sel.found.at[i].text));
    return true;
}

static bool
step_pwd(struct step_call *s)
{
    if (!step_needs_workspace(s))
        return false;
    *s->out =
        value_cstr(&s->run->arena, step_truth(s, "tmp", false)
                                       ? arena_format(&s->run->arena, "%s@tmp", s->run->workspace)
                                       : s->run->directory);
    return true;
}

/* Only what lies in the workspace is ours to delete. */
static bool
is_inside(const struct run *run, const char *directory)
{
    size_t len = strlen(run->workspace);

    return strncmp(directory, run->workspace, len) == 0 &&
           (directory[len] == '\0' || directory[len] == '/') && strstr(directory, "/..") == NULL;
}

/* What a container left as root there is given back first. */
static bool
empty_directory(struct step_call *s, const char *directory)
{
    struct err err;

    return file_empty_folder(directory, &err) ||
           (build_user_take_back(s->run) > 0 && file_empty_folder(directory, &err)) ||
           step_fail(s, "%s", err.message);
}

/* A build in the user's own directory deletes nothing there. */
static bool
is_users_own(struct step_call *s)
{
    if (s->run->config->in_place)
        run_logf(s->run, "WARNING: '" STR_FMT "' is skipped: this build runs in your own directory",
                 STR_ARG(s->name));
    return s->run->config->in_place;
}

static bool
clear_directory(struct step_call *s, const char *directory)
{
    if (!is_inside(s->run, directory))
        return step_fail(s, "'%s' lies outside of the workspace and is not deleted", directory);
    if (!empty_directory(s, directory))
        return false;
    s->run->fetched = NULL;
    return true;
}

static bool
step_delete_dir(struct step_call *s)
{
    if (!step_needs_workspace(s))
        return false;
    if (is_users_own(s))
        return true;
    if (!clear_directory(s, s->run->directory))
        return false;
    /* Steps that follow here need it: it goes with its block. */
    if (s->run->block != NULL && strcmp(s->run->block->directory, s->run->directory) == 0)
        s->run->block->is_deleted = true;
    return true;
}

/* cleanWhenSuccess and its kin: false keeps the workspace of such a build. */
static bool
clean_is_wanted(const struct step_call *s)
{
    static const char *const names[] = {
        [RESULT_SUCCESS] = "cleanWhenSuccess",   [RESULT_UNSTABLE] = "cleanWhenUnstable",
        [RESULT_FAILURE] = "cleanWhenFailure",   [RESULT_NOT_BUILT] = "cleanWhenNotBuilt",
        [RESULT_ABORTED] = "cleanWhenAborted",
    };
    return step_truth(s, names[run_visible_result(s->run)], true);
}

/* [[pattern: 'x', type: 'INCLUDE' or 'EXCLUDE'], ...] into two lists with commas. */
static bool
read_patterns(struct step_call *s, const struct value *patterns, struct strbuf *includes,
              struct strbuf *excludes)
{
    if (patterns->type != V_LIST)
        return step_fail(s, "'patterns' is a list of maps [pattern: 'x', type: 'INCLUDE']");
    for (size_t i = 0; i < patterns->list->count; i++) {
        const struct value one = patterns->list->at[i];
        const struct value *pattern =
            one.type == V_MAP ? map_find_text(one.map, "pattern") : NULL;
        const struct value *type = one.type == V_MAP ? map_find_text(one.map, "type") : NULL;
        struct strbuf *to = type != NULL && type->type == V_TEXT &&
                                    str_equal(type->text, STR("EXCLUDE"))
                                ? excludes
                                : includes;
        if (pattern == NULL || pattern->type != V_TEXT)
            return step_fail(s, "'patterns' has an entry without a pattern");
        strbuf_addf(to, "%s" STR_FMT, to->len > 0 ? "," : "", STR_ARG(pattern->text));
    }
    return true;
}

/* Folders that have become empty go, too, if `and_folders`; the ones above a file first have to
 * lose it, so each file asks for its own. */
static bool
delete_found(struct step_call *s, const struct selection *sel, bool and_folders)
{
    for (size_t i = 0; i < sel->found.count; i++) {
        char *path = text_format("%s/" STR_FMT, sel->root, STR_ARG(sel->found.at[i].text));
        bool gone = unlink(path) == 0 || errno == ENOENT;
        const int why = errno;
        for (char *slash = strrchr(path, '/'); gone && and_folders && slash != NULL;
             slash = strrchr(path, '/')) {
            *slash = '\0';
            if (strlen(path) <= strlen(sel->root) || rmdir(path) != 0)
                break;
        }
        free(path);
        if (!gone)
            return step_fail(s, "cannot delete '" STR_FMT "': %s",
                             STR_ARG(sel->found.at[i].text), strerror(why));
    }
    return true;
}

static bool
clean_patterns(struct step_call *s, const struct value *patterns)
{
    cleanup(strbuf_done) struct strbuf includes = {0}, excludes = {0};
    struct selection sel = {.s = s, .root = s->run->workspace, .links = LINKS_KEEP};

    if (!read_patterns(s, patterns, &includes, &excludes))
        return false;
    sel.includes = includes.len > 0 ? strbuf_str(&includes) : STR("**");
    sel.excludes = strbuf_str(&excludes);
    return selection_find(&sel) && delete_found(s, &sel, step_truth(s, "deleteDirs", false));
}

static bool
step_clean_ws(struct step_call *s)
{
    const struct value *patterns = step_value(s, "patterns");

    if (!step_needs_workspace(s))
        return false;
    if (!clean_is_wanted(s)) {
        run_logf(s->run, "[WS-CLEANUP] the workspace stays: the build is %s",
                 build_result_name(run_visible_result(s->run)));
        return true;
    }
    if (is_users_own(s))
        return true;
    if (patterns != NULL && !(patterns->type == V_LIST && patterns->list->count == 0))
        return clean_patterns(s, patterns);
    return clear_directory(s, s->run->workspace);
}

step_function *
step_file_find(struct str name)
{
    static const struct step_row table[] = {
        {"readFile", step_read_file},
        {"writeFile", step_write_file},
        {"fileExists", step_file_exists},
        {"touch", step_touch},
        {"sha1", step_sha},
        {"sha256", step_sha},
        {"pwd", step_pwd},
        {"findFiles", step_find_files},
        {"deleteDir", step_delete_dir},
        {"cleanWs", step_clean_ws},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
