/* SPDX-License-Identifier: MIT */
#include "pipeline/steps/selection.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool
selection_matches(struct str patterns, struct str path, bool ignore_case)
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
            if (glob_match(one, path, ignore_case))
                return true;
            continue;
        }
        if (glob_match(one, path, ignore_case))
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
    const char *path = arena_format(a, "%s/%s", sel->root, relative);
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
        full = arena_format(a, "%s/%s", sel->root, name);
        if (lstat(full, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            ok = depth >= SELECTION_DEPTH_MAX || select_in(sel, name, depth + 1);
        } else if (is_selectable(sel, full, &st) &&
                   selection_matches(sel->includes, str_of(name), sel->ignore_case) &&
                   !selection_matches(sel->excludes, str_of(name), sel->ignore_case)) {
            if (sel->found.count >= SELECTION_FILES_MAX)
                ok = step_fail(sel->s, "more than %d files match", SELECTION_FILES_MAX);
            else
                list_add(a, &sel->found, value_text(str_of(name)));
        }
    }
    closedir(d);
    return ok;
}

bool
selection_find(struct selection *sel)
{
    return select_in(sel, "", 0);
}
