/* SPDX-License-Identifier: MIT */
/* library.c - shared libraries: @Library, the steps library, libraryResource and load, and what
 * vars/ and src/ of a library give.
 * A library NAME is the folder libraries/NAME of the data directory, or naru's own repository NAME;
 * of a repository `NAME@VERSION` says which branch, tag or commit.  Nothing is fetched from
 * elsewhere.  What is loaded is kept in the state folder of the run, and is what it was when the
 * build is taken up after a restart: a script that changed its way could not be.
 * A file of vars/ is a class with one instance, a global of its name: NAME(...) calls its `call`. */
#include <dirent.h>
#include <stdio.h>
#include "io/file.h"
#include "pipeline/forge/git_remote.h"
#include "pipeline/groovy/interp_scope.h"
#include "pipeline/run/run.h"

#define PARSE_STACK_SIZE ((size_t)1 << 20) /* what the deepest file takes, with sanitizers */
#define LIBRARY_FILE_MAX ((size_t)1 << 20)
#define LIBRARY_DEPTH_MAX 12 /* folders below src/ */
#define LIBRARY_GIT_MS ((int64_t)5 * 60 * 1000)

static bool
read_as_user(struct run *run, const char *path, struct strbuf *text, struct err *err)
{
    USER_ACTS(run);

    return file_read_plain(path, LIBRARY_FILE_MAX, text, err);
}

/* `copy` is of a file of the workspace; NULL: it is naru's, and is kept already. */
static bool
read_kept(struct run *run, const char *path, const char *copy, struct strbuf *text, struct err *err)
{
    if (copy == NULL)
        return file_read(path, LIBRARY_FILE_MAX, text, err);
    if (file_exists(copy))
        return file_read(copy, LIBRARY_FILE_MAX, text, err);
    return read_as_user(run, path, text, err) &&
           file_write_atomic(copy, strbuf_str(text), 0600, err);
}

/* The file's tree, in the arena of the run; NULL with something thrown. The parser recurses on the
 * stack that the script is on. */
static struct node *
parse_file(struct run *run, const struct node *at, const char *path, const char *copy)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct diagnostics *d = arena_alloc(&run->arena, sizeof(*d));
    struct node *block;
    struct err err;

    if (!interp_has_stack(&run->in, at, PARSE_STACK_SIZE))
        return NULL;
    if (!read_kept(run, path, copy, &text, &err)) {
        (void)interp_throw(&run->in, at, "AbortException", "%s", err.message);
        return NULL;
    }
    block = syntax_parse(strbuf_str(&text), &run->arena, d);
    if (block == NULL)
        (void)interp_throw(&run->in, at, "AbortException", "%s:%u:%u: %s", path, d->items[0].line,
                           d->items[0].column, d->items[0].message);
    return block;
}

/* A script as a class: its functions and fields are members, `this` is the instance. */
static bool
instance_of(struct run *run, const struct node *at, struct str name, const struct node *block,
            struct value *out)
{
    struct node *class_node = arena_alloc(&run->arena, sizeof(*class_node));
    const struct args none = {0};

    class_node->type = N_CLASS;
    class_node->text = arena_dup(&run->arena, name);
    class_node->line = at->line;
    class_node->column = at->column;
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        struct node *member;
        if (n->type != N_METHOD && !(n->type == N_DECLARE && n->is_field))
            continue;
        member = arena_alloc(&run->arena, sizeof(*member));
        *member = *n;
        member->next = NULL;
        node_append(class_node, member);
    }
    class_register(&run->in, class_node);
    if (class_find(&run->in, class_node->text) == NULL)
        return interp_throw(&run->in, at, "OutOfMemoryError", "more than %d classes",
                            INTERP_CLASSES_MAX);
    return class_new(&run->in, at, class_find(&run->in, class_node->text), &none, out);
}

static bool
load_variable(struct run *run, const struct node *at, const char *folder, struct str file)
{
    const char *path = arena_format(&run->arena, "%s/" STR_FMT, folder, STR_ARG(file));
    const struct node *block = parse_file(run, at, path, NULL);
    const struct str name = arena_dup(&run->arena, str_slice(file, 0, file.len - 7));
    struct value object;

    if (block == NULL)
        return false;
    for (const struct node *n = block->first; n != NULL; n = n->next)
        if (n->type == N_CLASS)
            class_register(&run->in, n);
    if (!instance_of(run, at, name, block, &object))
        return false;
    scope_declare(&run->in, run->in.globals, name, object);
    return true;
}

static bool
load_classes(struct run *run, const struct node *at, const char *path)
{
    const struct node *block = parse_file(run, at, path, NULL);

    if (block != NULL)
        interp_hoist(&run->in, block);
    return block != NULL;
}

/* Each .groovy file of a folder; with `is_src` those of its folders as well, for their classes. */
static bool
load_folder(struct run *run, const struct node *at, const char *folder, bool is_src, unsigned depth)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    bool ok = true;

    while (dir != NULL && ok && (entry = readdir(dir)) != NULL) {
        const struct str name = str_of(entry->d_name);
        const char *path = arena_format(&run->arena, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        if (is_src && entry->d_type == DT_DIR && depth < LIBRARY_DEPTH_MAX)
            ok = load_folder(run, at, path, true, depth + 1);
        else if (str_ends(name, STR(".groovy")) && entry->d_type == DT_REG)
            ok = is_src ? load_classes(run, at, path)
                        : load_variable(run, at, folder, arena_dup(&run->arena, name));
    }
    if (dir != NULL)
        closedir(dir);
    return ok;
}

static bool
is_plain_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == '/' || name.at[i] == '\0')
            return false;
    return name.len > 0 && name.len < 200 && name.at[0] != '.' && name.at[0] != '-';
}

static bool
run_command(struct run *run, const struct node *at, const char *const *argv)
{
    const struct process_spec spec = {
        .argv = argv, .timeout_ms = LIBRARY_GIT_MS, .merge_stderr = true};
    struct process_result result = {0};
    struct err err;
    bool ok = run_own_process(run, &spec, &result, &err);

    if (!ok)
        (void)interp_throw(&run->in, at, "AbortException", "%s", err.message);
    else if (result.exit_code != 0)
        ok = interp_throw(&run->in, at, "AbortException", "%s: " STR_FMT, argv[0],
                          STR_ARG(str_slice(str_trim(strbuf_str(&result.output)), 0, 500)));
    process_result_done(&result);
    return ok;
}

/* What lies in `temporary` is left over. */
static bool
copy_library(struct run *run, const struct node *at, const char *folder, const char *repository,
             const char *version, const char *temporary)
{
    static const char copy_folder[] =
        "mkdir -p \"$1\" && for d in src vars resources; do "
        "[ ! -d \"$0/$d\" ] || cp -R \"$0/$d\" \"$1/\" || exit 1; done";
    const char *const clone[] = {"git",      "clone",   "--quiet", "--no-checkout",
                                 repository, temporary, NULL};
    const char *const checkout[] = {"git", "-C", temporary, "checkout", "--quiet", version, NULL};
    const char *const copy[] = {"sh", "-c", copy_folder, folder, temporary, NULL};
    struct err err;

    if (!file_remove_tree(temporary, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    if (folder != NULL)
        return run_command(run, at, copy);
    return run_command(run, at, clone) && run_command(run, at, checkout);
}

/* Of a library that is loaded for the first time; several branches may do so at once. */
static bool
make_library(struct run *run, const struct node *at, const char *folder, const char *repository,
             const char *version, const char *kept)
{
    const char *temporary = arena_format(&run->arena, "%s.tmp", kept);
    bool ok;

    if (!run_fetch_begin(run))
        return run_poll(&run->in, at) && interp_throw(&run->in, at, "AbortException", "'%s' was not loaded", kept);
    ok = file_exists(kept) ||
         (copy_library(run, at, folder, repository, version, temporary) &&
          (rename(temporary, kept) == 0 ||
           interp_throw(&run->in, at, "AbortException", "cannot rename '%s'", temporary)));
    run_fetch_end(run);
    return ok;
}

/* Where what the build sees of the library lies: what it loaded first. */
static const char *
keep_library(struct run *run, const struct node *at, const char *name, const char *folder,
             const char *repository, const char *version)
{
    const char *state_dir = run->config->state_dir;
    char *key = arena_format(&run->arena, "%s@%s", name, folder != NULL ? "" : version);
    const char *kept;

    if (state_dir == NULL && folder != NULL)
        return folder;
    for (char *c = key; *c != '\0'; c++)
        *c = *c == '/' ? '%' : *c;
    kept = state_dir != NULL
               ? arena_format(&run->arena, "%s/libraries/%s", state_dir, key)
               : arena_format(&run->arena, "%s@tmp/libraries/%s", run->config->workspace, key);
    return file_exists(kept) || make_library(run, at, folder, repository, version, kept) ? kept : NULL;
}

/* Where the library lies; a version of a repository is checked out first.  NULL: thrown. */
static const char *
find_library(struct run *run, const struct node *at, struct str name, struct str version)
{
    const char *home = run->config->home;
    cleanup_free char *cname = str_dup(name);
    const char *folder =
        arena_format(&run->arena, "%s/libraries/%s", home == NULL ? "" : home, cname);
    cleanup_free char *repository = home == NULL ? NULL : git_remote_path(home, cname);
    cleanup_free char *cversion = str_dup(version.len == 0 ? STR("HEAD") : version);

    if (home != NULL && file_exists(folder)) {
        if (version.len > 0)
            run_logf(run, "Library %s is a folder: its version '%s' is not looked at", cname,
                     cversion);
        return keep_library(run, at, cname, folder, NULL, cversion);
    }
    if (repository == NULL || !file_exists(repository)) {
        (void)interp_throw(&run->in, at, "AbortException",
                           "there is no library '%s': neither the folder %s nor a repository of "
                           "naru (naru pipeline create %s)",
                           cname, folder, cname);
        return NULL;
    }
    return keep_library(run, at, cname, NULL, repository, cversion);
}

bool
library_load(struct run *run, const struct node *at, struct str identifier)
{
    struct str version = identifier, name = {0};
    const char *folder;

    (void)str_split(&version, '@', &name);
    if (!is_plain_name(name) || (version.len > 0 && version.at[0] == '-'))
        return interp_throw(&run->in, at, "IllegalArgumentException",
                            "'" STR_FMT "' is no name of a library", STR_ARG(identifier));
    folder = find_library(run, at, name, version);
    if (folder == NULL)
        return false;
    run_logf(run, "Loading library " STR_FMT, STR_ARG(identifier));
    run->library_folders = arena_format(
        &run->arena, "%s%s\n", run->library_folders == NULL ? "" : run->library_folders, folder);
    return load_folder(run, at, arena_format(&run->arena, "%s/src", folder), true, 0) &&
           load_folder(run, at, arena_format(&run->arena, "%s/vars", folder), false, 0);
}

static bool
step_library(struct step_call *s)
{
    struct str identifier = step_text(s, "identifier", "");

    *s->out = value_host(HOST_STEPS);
    return library_load(s->run, s->at, identifier);
}

/* A file below resources/ of the library that has it. */
static bool
step_library_resource(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const struct str path = step_text(s, "resource", "");
    struct str rest = str_of(s->run->library_folders), folder;

    while (str_split(&rest, '\n', &folder)) {
        cleanup_free char *root = text_format(STR_FMT "/resources", STR_ARG(folder));
        cleanup_free char *below = str_dup(path);
        struct err err;
        if (folder.len == 0 || !file_read_below(root, below, LIBRARY_FILE_MAX, &text, &err))
            continue;
        *s->out = value_text(arena_dup(&s->run->arena, strbuf_str(&text)));
        return true;
    }
    return step_fail(s, "No such library resource " STR_FMT " could be found.", STR_ARG(path));
}

/* load 'x.groovy': runs it; `return this` gives its functions. */
static bool
step_load(struct step_call *s)
{
    struct interp *in = s->in;
    const char *path = step_path(s, step_text(s, "path", ""));
    const char *copy = s->run->config->state_dir == NULL
                           ? NULL
                           : run_state_path(s->run, "load", s->id);
    const struct node *block = path == NULL ? NULL : parse_file(s->run, s->at, path, copy);
    struct scope *before = in->scope;
    struct value object, *kept;
    bool ok = true;

    if (block == NULL)
        return false;
    interp_hoist(in, block);
    if (!instance_of(s->run, s->at,
                     str_of(arena_format(&s->run->arena, "Script%u", ++s->run->files)), block,
                     &object))
        return false;
    kept = arena_alloc(&s->run->arena, sizeof(*kept));
    *kept = object;
    in->scope = scope_new(in, in->globals);
    in->scope->delegate = kept;
    in->scope->delegate_first = true;
    scope_declare(in, in->scope, STR("this"), object);
    for (const struct node *n = block->first; n != NULL && ok; n = n->next)
        if (n->type != N_METHOD && n->type != N_CLASS && !(n->type == N_DECLARE && n->is_field))
            ok = interp_statement(in, n, s->out);
    if (!ok && in->completion == COMPLETION_RETURN) {
        in->completion = COMPLETION_NONE;
        *s->out = in->result;
        ok = true;
    }
    in->scope = before;
    return ok;
}

/* pipeline { } in the `call` of a library. */
static bool
step_pipeline(struct step_call *s)
{
    struct diagnostics *d = arena_alloc(&s->run->arena, sizeof(*d));
    const struct closure *block =
        s->args->count == 1 && s->args->at[0].type == V_CLOSURE ? s->args->at[0].closure : NULL;
    struct scope *before = s->in->scope;
    cleanup(strbuf_done) struct strbuf errors = {0};
    struct stage *pipeline;
    bool ok;

    if (block == NULL)
        return step_fail(s, "'pipeline' needs a block in braces");
    pipeline = jenkinsfile_bind_call(&s->run->arena, s->at, d);
    if (pipeline == NULL) {
        diagnostics_format(d, "library", &errors);
        run_log(s->run, strbuf_str(&errors));
        return step_fail(s, "%s", d->items[0].message);
    }
    s->in->scope = block->scope;
    ok = declarative_run(s->run, pipeline);
    s->in->scope = before;
    return ok;
}

step_function *
step_library_find(struct str name)
{
    static const struct step_row rows[] = {{"library", step_library},
                                           {"libraryResource", step_library_resource},
                                           {"load", step_load},
                                           {"pipeline", step_pipeline}};

    return step_row_find(rows, ARRAY_COUNT(rows), name);
}
