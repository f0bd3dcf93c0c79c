/* SPDX-License-Identifier: MIT */
/* steps_stash.c - stash, unstash and archiveArtifacts: copies by Ant patterns. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "io/file.h"
#include "pipeline/steps/selection.h"

/* Gives the link `from` a twin `to`; `is_link_out` false if it is none. */
static bool
copy_link(struct step_call *s, const char *from, const char *to, bool *is_link_out)
{
    char target[4096];
    const ssize_t n = readlink(from, target, sizeof(target) - 1);

    *is_link_out = n >= 0;
    if (n < 0)
        return true;
    target[n] = '\0';
    return symlink(target, to) == 0 || step_fail(s, "cannot write '%s': %s", to, strerror(errno));
}

/* A new file, and its folders; never through a link that is there.  -1: thrown. */
static int
create(struct step_call *s, const char *to, mode_t mode)
{
    const struct str folder = str_range(to, strrchr(to, '/'));
    struct err err;
    int fd;

    if (!file_make_dirs(arena_cstr(&s->run->arena, folder), 0755, &err)) {
        step_fail(s, "%s", err.message);
        return -1;
    }
    (void)unlink(to);
    fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        step_fail(s, "cannot write '%s': %s", to, strerror(errno));
    return fd;
}

/* Artifacts are naru's files. */
static int
create_kept(struct step_call *s, const char *to, mode_t mode)
{
    SERVER_ACTS(s->run);

    return create(s, to, mode);
}

static bool
copy_file(struct step_call *s, const char *from, const char *to, bool is_kept)
{
    cleanup_close int in = -1;
    cleanup_close int out = -1;
    struct stat st;
    struct err err;
    char buffer[65536];
    ssize_t n;

    if (!file_open_plain(from, O_RDONLY, 0, &in, &err))
        return step_fail(s, "%s", err.message);
    if (fstat(in, &st) != 0)
        return step_fail(s, "cannot read '%s': %s", from, strerror(errno));
    out = is_kept ? create_kept(s, to, st.st_mode & 0777) : create(s, to, st.st_mode & 0777);
    if (out < 0)
        return false;
    while ((n = read(in, buffer, sizeof(buffer))) > 0)
        if (!file_write_all(out, (struct str){buffer, (size_t)n}, &err))
            return step_fail(s, "%s", err.message);
    return n == 0 || step_fail(s, "cannot read '%s': %s", from, strerror(errno));
}

bool
step_keep_file(struct step_call *s, const char *from, const char *to)
{
    return copy_file(s, from, to, true);
}

/* Of a stash. */
static bool
copy_as_it_is(struct step_call *s, const char *from, const char *to)
{
    const struct str folder = str_range(to, strrchr(to, '/'));
    bool is_link = false;
    struct err err;

    if (!file_make_dirs(arena_cstr(&s->run->arena, folder), 0755, &err))
        return step_fail(s, "%s", err.message);
    (void)unlink(to);
    return copy_link(s, from, to, &is_link) && (is_link || copy_file(s, from, to, false));
}

static bool
copy_all(struct step_call *s, const struct selection *sel, const char *from, const char *to)
{
    for (size_t i = 0; i < sel->found.count; i++) {
        struct str name = sel->found.at[i].text;
        const char *there = arena_format(&s->run->arena, "%s/" STR_FMT, from, STR_ARG(name));
        const char *here = arena_format(&s->run->arena, "%s/" STR_FMT, to, STR_ARG(name));
        if ((i & 63) == 0 && !run_poll(s->in, s->at))
            return false;
        if (!(sel->links == LINKS_KEEP ? copy_as_it_is(s, there, here)
                                       : step_keep_file(s, there, here)))
            return false;
    }
    return true;
}

/* A name becomes one path component. */
static const char *
stash_path(struct step_call *s)
{
    struct str name = step_text(s, "name", "");

    if (name.len == 0 || name.len > 200 || str_index(name, '/') >= 0 || name.at[0] == '.') {
        step_fail(s, "'" STR_FMT "' is not a usable name for a stash", STR_ARG(name));
        return NULL;
    }
    return arena_format(&s->run->arena, "%s@tmp/stashes/" STR_FMT, s->run->config->workspace,
                        STR_ARG(name));
}

static bool
step_stash(struct step_call *s)
{
    struct selection sel = {.s = s,
                            .root = s->run->directory,
                            .includes = step_text(s, "includes", "**"),
                            .excludes = step_text(s, "excludes", ""),
                            .default_excludes = step_truth(s, "useDefaultExcludes", true),
                            .links = LINKS_KEEP};
    const char *path;
    struct err err;

    if (!step_needs_workspace(s) || (path = stash_path(s)) == NULL || !selection_find(&sel))
        return false;
    if (sel.found.count == 0 && !step_truth(s, "allowEmpty", false))
        return step_fail(s, "No files included in stash");
    if (!file_remove_tree(path, &err) || !file_make_dirs(path, 0755, &err))
        return step_fail(s, "%s", err.message);
    if (!copy_all(s, &sel, s->run->directory, path))
        return false;
    run_logf(s->run, "Stashed %zu file(s)", sel.found.count);
    return true;
}

static bool
step_unstash(struct step_call *s)
{
    struct selection sel = {.s = s, .includes = STR("**"), .links = LINKS_KEEP};
    const char *path;

    if (!step_needs_workspace(s) || (path = sel.root = stash_path(s)) == NULL)
        return false;
    if (!file_exists(path))
        return step_fail(s, "No such saved stash '" STR_FMT "'", STR_ARG(step_text(s, "name", "")));
    return selection_find(&sel) && copy_all(s, &sel, path, s->run->directory);
}

static bool
step_archive(struct step_call *s)
{
    struct selection sel = {
        .s = s,
        .root = s->run->directory,
        .ignore_case = !step_truth(s, "caseSensitive", true),
        .includes = step_text(s, str_is(s->name, "archive") ? "includes" : "artifacts", ""),
        .excludes = step_text(s, "excludes", ""),
        .default_excludes = step_truth(s, "defaultExcludes", true),
        .links = step_truth(s, "followSymlinks", true) ? LINKS_FOLLOW : LINKS_SKIP};

    if (!step_needs_workspace(s))
        return false;
    if (step_truth(s, "onlyIfSuccessful", false) && s->run->result > RESULT_UNSTABLE) {
        run_logf(s->run, "Skipped archiving because build is not successful");
        return true;
    }
    if (!selection_find(&sel))
        return false;
    if (sel.found.count == 0) {
        if (!step_truth(s, "allowEmptyArchive", false))
            return step_fail(s,
                             "No artifacts found that match the file pattern \"" STR_FMT
                             "\". Configuration error?",
                             STR_ARG(sel.includes));
        run_logf(s->run, "No artifacts found that match \"" STR_FMT "\"", STR_ARG(sel.includes));
        return true;
    }
    if (s->run->config->artifact_dir == NULL) {
        run_logf(s->run, "%zu artifact(s) match, and stay where they are: this build keeps none",
                 sel.found.count);
        return true;
    }
    run_logf(s->run, "Archiving %zu artifact(s)", sel.found.count);
    return copy_all(s, &sel, s->run->directory, s->run->config->artifact_dir);
}

step_function *
step_stash_find(struct str name)
{
    return str_is(name, "stash")              ? step_stash
           : str_is(name, "unstash")          ? step_unstash
           : str_is(name, "archiveArtifacts") ? step_archive
           : str_is(name, "archive")          ? step_archive
                                              : NULL;
}
