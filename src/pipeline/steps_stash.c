/* SPDX-License-Identifier: MIT */
/* steps_stash.c - stash, unstash, archiveArtifacts (copies by Ant patterns) and junit. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "io/file.h"
#include "pipeline/run.h"

#define FILES_MAX 20000
#define DEPTH_MAX 64
#define REPORT_MAX ((size_t)16 << 20)

struct selection {
    struct step_call *s;
    struct str includes, excludes;
    bool default_excludes;
    enum links { LINKS_SKIP, LINKS_KEEP, LINKS_FOLLOW } links;
    struct list found; /* paths relative to the directory */
};

static bool
matches_any(struct str patterns, struct str path)
{
    struct str rest = patterns, one;

    while (str_split(&rest, ',', &one)) {
        char folder[1024];
        one = str_trim(one);
        if (str_starts(one, STR("./")))
            one = str_slice(one, 2, one.len);
        if (one.len == 0)
            continue;
        if (one.at[one.len - 1] == '/' && one.len < sizeof(folder) - 3) {
            snprintf(folder, sizeof(folder), STR_FMT "**", STR_ARG(one));
            one = str_of(folder);
            if (glob_match(one, path, false))
                return true;
            continue;
        }
        if (glob_match(one, path, false))
            return true;
    }
    return false;
}

static bool
is_default_exclude(const char *name)
{
    return strcmp(name, ".git") == 0 || strcmp(name, ".svn") == 0 || strcmp(name, ".hg") == 0 ||
           strcmp(name, ".DS_Store") == 0 || strcmp(name, "CVS") == 0;
}

/* A link is kept as one (stash), or stands for the file it leads to (archive). */
static bool
is_selectable(const struct selection *sel, const char *path, const struct stat *st)
{
    struct stat target;

    if (S_ISREG(st->st_mode))
        return true;
    if (!S_ISLNK(st->st_mode) || sel->links == LINKS_SKIP)
        return false;
    return sel->links == LINKS_KEEP || (stat(path, &target) == 0 && S_ISREG(target.st_mode));
}

static bool
select_in(struct selection *sel, const char *relative, unsigned depth)
{
    struct arena *a = &sel->s->run->arena;
    const char *path = arena_format(a, "%s/%s", sel->s->run->directory, relative);
    DIR *d = opendir(path);
    struct dirent *e;
    bool ok = true;

    if (d == NULL)
        return depth > 0 || errno == ENOENT ||
               step_fail(sel->s, "cannot open '%s': %s", path, strerror(errno));
    while (ok && (e = readdir(d)) != NULL) {
        const char *name, *full;
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (sel->default_excludes && is_default_exclude(e->d_name)))
            continue;
        name = relative[0] == '\0' ? arena_format(a, "%s", e->d_name)
                                   : arena_format(a, "%s/%s", relative, e->d_name);
        full = arena_format(a, "%s/%s", sel->s->run->directory, name);
        if (lstat(full, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            ok = depth >= DEPTH_MAX || select_in(sel, name, depth + 1);
        } else if (is_selectable(sel, full, &st) && matches_any(sel->includes, str_of(name)) &&
                   !matches_any(sel->excludes, str_of(name))) {
            if (sel->found.count >= FILES_MAX)
                ok = step_fail(sel->s, "more than %d files match", FILES_MAX);
            else
                list_add(a, &sel->found, value_text(str_of(name)));
        }
    }
    closedir(d);
    return ok;
}

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

static bool
copy_file(struct step_call *s, const char *from, const char *to, bool keeps_links)
{
    cleanup_close int in = -1;
    cleanup_close int out = -1;
    struct stat st;
    struct err err;
    struct str folder = str_range(to, strrchr(to, '/'));
    char buffer[65536];
    bool is_link = false;
    ssize_t n;

    if (!file_make_dirs(arena_cstr(&s->run->arena, folder), 0755, &err))
        return step_fail(s, "%s", err.message);
    unlink(to); /* never through a link that is there */
    if (keeps_links && !copy_link(s, from, to, &is_link))
        return false;
    if (is_link)
        return true;
    in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) != 0)
        return step_fail(s, "cannot read '%s': %s", from, strerror(errno));
    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st.st_mode & 0777);
    if (out < 0)
        return step_fail(s, "cannot write '%s': %s", to, strerror(errno));
    while ((n = read(in, buffer, sizeof(buffer))) > 0)
        if (!file_write_all(out, (struct str){buffer, (size_t)n}, &err))
            return step_fail(s, "%s", err.message);
    return n == 0 || step_fail(s, "cannot read '%s': %s", from, strerror(errno));
}

static bool
copy_all(struct step_call *s, const struct selection *sel, const char *from, const char *to)
{
    for (size_t i = 0; i < sel->found.count; i++) {
        struct str name = sel->found.at[i].text;
        if ((i & 63) == 0 && !run_poll(s->in, s->at))
            return false;
        if (!copy_file(s, arena_format(&s->run->arena, "%s/" STR_FMT, from, STR_ARG(name)),
                       arena_format(&s->run->arena, "%s/" STR_FMT, to, STR_ARG(name)),
                       sel->links == LINKS_KEEP))
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
                            .includes = step_text(s, "includes", "**"),
                            .excludes = step_text(s, "excludes", ""),
                            .default_excludes = step_truth(s, "useDefaultExcludes", true),
                            .links = LINKS_KEEP};
    const char *path;
    struct err err;

    if (!step_needs_workspace(s) || (path = stash_path(s)) == NULL || !select_in(&sel, "", 0))
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
    const char *path, *before = s->run->directory;
    struct selection sel = {.s = s, .includes = STR("**"), .links = LINKS_KEEP};
    bool ok;

    if (!step_needs_workspace(s) || (path = stash_path(s)) == NULL)
        return false;
    if (!file_exists(path))
        return step_fail(s, "No such saved stash '" STR_FMT "'", STR_ARG(step_text(s, "name", "")));
    s->run->directory = path;
    ok = select_in(&sel, "", 0);
    s->run->directory = before;
    return ok && copy_all(s, &sel, path, before);
}

static bool
step_archive(struct step_call *s)
{
    struct selection sel = {
        .s = s,
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
    if (!select_in(&sel, "", 0))
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

struct counts {
    int64_t total, failed, skipped;
};

/* Counts elements; text, comments and CDATA are passed over. No entities are ever resolved. */
static bool
count_report(struct str xml, struct counts *out)
{
    bool in_case = false, failed = false, skipped = false, any = false;

    for (size_t i = 0; i < xml.len;) {
        struct str rest = str_slice(xml, i, xml.len);
        ptrdiff_t end;
        struct str tag;
        bool closes_itself;
        if (rest.at[0] != '<') {
            i++;
            continue;
        }
        if (str_starts(rest, STR("<!--")))
            end = str_find(rest, STR("-->"));
        else if (str_starts(rest, STR("<![CDATA[")))
            end = str_find(rest, STR("]]>"));
        else
            end = str_index(rest, '>');
        if (end < 0)
            return false;
        tag = str_slice(rest, 1, (size_t)end);
        i += (size_t)end + 1;
        if (rest.at[1] == '!' || rest.at[1] == '?')
            continue;
        closes_itself = tag.len > 0 && tag.at[tag.len - 1] == '/';
        any = any || str_starts(tag, STR("testsuite"));
        if (str_starts(tag, STR("testcase"))) {
            in_case = !closes_itself;
            failed = skipped = false;
            out->total++;
        } else if (in_case && (str_starts(tag, STR("failure")) || str_starts(tag, STR("error")))) {
            failed = true;
        } else if (in_case && str_starts(tag, STR("skipped"))) {
            skipped = true;
        } else if (str_starts(tag, STR("/testcase"))) {
            out->failed += failed;
            out->skipped += skipped && !failed;
            in_case = false;
        }
    }
    return any;
}

static bool
step_junit(struct step_call *s)
{
    struct selection sel = {
        .s = s, .includes = step_text(s, "testResults", ""), .links = LINKS_FOLLOW};
    struct counts counts = {0};
    struct arena *a = &s->run->arena;
    struct err err;

    if (!step_needs_workspace(s) || !select_in(&sel, "", 0))
        return false;
    if (sel.found.count == 0) {
        if (!step_truth(s, "allowEmptyResults", false))
            return step_fail(s, "No test report files were found. Configuration error?");
        run_logf(s->run, "No test report files were found");
    }
    for (size_t i = 0; i < sel.found.count; i++) {
        cleanup(strbuf_done) struct strbuf xml = {0};
        if (!file_read(step_path(s, sel.found.at[i].text), REPORT_MAX, &xml, &err))
            return step_fail(s, "%s", err.message);
        if (!count_report(strbuf_str(&xml), &counts))
            return step_fail(s, "'" STR_FMT "' is not a JUnit report",
                             STR_ARG(sel.found.at[i].text));
    }
    run_logf(s->run, "Tests: %lld, failed: %lld, skipped: %lld", (long long)counts.total,
             (long long)counts.failed, (long long)counts.skipped);
    if (counts.failed > 0 && !step_truth(s, "skipMarkingBuildUnstable", false)) {
        run_worsen(s->run, RESULT_UNSTABLE);
        run_mark(s->run, RESULT_UNSTABLE);
    }
    *s->out = value_map(a);
    map_put_text(a, s->out->map, "totalCount", value_int(counts.total));
    map_put_text(a, s->out->map, "failCount", value_int(counts.failed));
    map_put_text(a, s->out->map, "skipCount", value_int(counts.skipped));
    map_put_text(a, s->out->map, "passCount",
                 value_int(counts.total - counts.failed - counts.skipped));
    return true;
}

step_function *
step_stash_find(struct str name)
{
    return str_is(name, "stash")              ? step_stash
           : str_is(name, "unstash")          ? step_unstash
           : str_is(name, "archiveArtifacts") ? step_archive
           : str_is(name, "archive")          ? step_archive
           : str_is(name, "junit")            ? step_junit
                                              : NULL;
}
