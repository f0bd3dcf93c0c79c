/* SPDX-License-Identifier: MIT */
/* steps_file.c - files of the workspace. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/crypto.h"
#include "io/file.h"
#include "pipeline/run.h"

#define FILE_MAX ((size_t)16 << 20)

static bool
step_read_file(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err;

    if (!step_needs_workspace(s))
        return false;
    if (!file_read(step_path(s, step_text(s, "file", "")), FILE_MAX, &text, &err))
        return interp_throw(s->in, s->at, "NoSuchFileException", "%s", err.message);
    *s->out = value_text(arena_dup(&s->run->arena, strbuf_str(&text)));
    return true;
}

/* Not file_write_atomic(): a build may be reading through a link or keep the file's mode. */
static bool
write_text(struct step_call *s, const char *path, struct str text, const char *mode)
{
    const char *slash = strrchr(path, '/');
    struct err err;
    FILE *f;
    bool ok;

    if (!file_make_dirs(arena_cstr(&s->run->arena, str_range(path, slash)), 0755, &err))
        return step_fail(s, "%s", err.message);
    f = fopen(path, mode);
    if (f == NULL)
        return step_fail(s, "cannot write '%s': %s", path, strerror(errno));
    ok = text.len == 0 || fwrite(text.at, 1, text.len, f) == text.len;
    ok = fclose(f) == 0 && ok;
    return ok || step_fail(s, "cannot write '%s': %s", path, strerror(errno));
}

static bool
step_write_file(struct step_call *s)
{
    return step_needs_workspace(s) &&
           write_text(s, step_path(s, step_text(s, "file", "")), step_text(s, "text", ""), "we");
}

static bool
step_touch(struct step_call *s)
{
    return step_needs_workspace(s) &&
           write_text(s, step_path(s, step_text(s, "file", "")), STR(""), "ae");
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
step_sha256(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    char hex[SHA256_HEX + 1];
    struct err err;

    if (!step_needs_workspace(s))
        return false;
    if (!file_read(step_path(s, step_text(s, "file", "")), FILE_MAX, &text, &err))
        return interp_throw(s->in, s->at, "NoSuchFileException", "%s", err.message);
    sha256_hex(strbuf_str(&text), hex);
    *s->out = value_cstr(&s->run->arena, hex);
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

static bool
empty_directory(struct step_call *s, const char *directory)
{
    DIR *d = opendir(directory);
    struct dirent *e;
    struct err err;
    bool ok = true;

    if (d == NULL)
        return errno == ENOENT || step_fail(s, "cannot open '%s': %s", directory, strerror(errno));
    while (ok && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        ok = file_remove_tree(arena_format(&s->run->arena, "%s/%s", directory, e->d_name), &err);
        if (!ok)
            step_fail(s, "%s", err.message);
    }
    closedir(d);
    return ok;
}

static bool
step_delete_dir(struct step_call *s)
{
    const char *directory;

    if (!step_needs_workspace(s))
        return false;
    directory = str_is(s->name, "cleanWs") ? s->run->workspace : s->run->directory;
    if (s->run->config->in_place) {
        run_logf(s->run, "WARNING: '" STR_FMT "' is skipped: this build runs in your own directory",
                 STR_ARG(s->name));
        return true;
    }
    if (!is_inside(s->run, directory))
        return step_fail(s, "'%s' lies outside of the workspace and is not deleted", directory);
    if (!empty_directory(s, directory))
        return false;
    s->run->fetched = NULL;
    return true;
}

step_function *
step_file_find(struct str name)
{
    static const struct {
        const char *name;
        step_function *function;
    } table[] = {
        {"readFile", step_read_file},     {"writeFile", step_write_file},
        {"fileExists", step_file_exists}, {"touch", step_touch},
        {"sha256", step_sha256},          {"pwd", step_pwd},
        {"deleteDir", step_delete_dir},   {"cleanWs", step_delete_dir},
    };

    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (str_is(name, table[i].name))
            return table[i].function;
    return NULL;
}
